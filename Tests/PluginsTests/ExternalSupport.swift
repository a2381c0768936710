import Domain
import Foundation
import Synchronization

@testable import Plugins

/// Stages from outside for tests, each in a folder of its own.
final class ExternalBench: Sendable {
  static let root = #filePath.replacing("Tests/PluginsTests/ExternalSupport.swift", with: "")
  static let volume = ExternalVolume(name: "cortex", voxelSize: VoxelNanometres(z: 30, y: 6, x: 5))

  let folder: String
  private let log = Mutex<[String]>([])

  init() throws {
    folder = NSTemporaryDirectory() + "fgnetd-stage-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  var lines: [String] { log.withLock { $0 } }

  /// A Python program of this folder's neighbour `Stages`.
  func command(
    _ kind: StageKind, _ script: String, _ arguments: [String] = [], timeLimit: Double = 60,
    memoryLimit: Int = 2 << 30
  ) throws -> ExternalStage {
    var command = ExternalSource.Command(
      words: ["/usr/bin/python3", Self.root + "Tests/PluginsTests/Stages/" + script] + arguments,
      environment: [
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "PYTHONPATH": Self.root + "stages/python",
      ],
      directory: folder, timeLimit: timeLimit, memoryLimit: memoryLimit)
    command.firstPause = 0.01
    return try ExternalStage(
      ExternalSource(name: "mine", kind: kind, origin: .command(command), contentHash: "c0de")
    ) { line in self.log.withLock { $0.append(line) } }
  }

  /// The registry with it.
  static func registry(_ stage: ExternalStage) -> StageRegistry {
    var registry = StageRegistry.builtIn
    stage.register(in: &registry, volume: volume)
    return registry
  }

  static func denoise(_ stage: ExternalStage, _ options: [String: OptionValue] = [:]) throws -> any ImageStage {
    try registry(stage).denoise(named: "mine", options: options, path: "stages.denoise[0]")
  }

  static let image = Plane<Float>(height: 9, width: 7, storage: (0..<63).map { Float($0) / 64 })

  /// A window of two sections with two fragments and three edges each.
  static let window: [SectionGraph] = [SectionNumber(0), 1].map { z in
    let ids = (1...2).map { FragmentID(z: z, signature: 5, label: $0) }
    let below = (1...2).map { FragmentID(z: z - 1, signature: 5, label: $0) }
    let histogram = AffinityHistogram(bins: [10, 200], counts: [3, 4])
    var edges = [RegionEdge(a: ids[0], b: ids[1], histogram: histogram)]
    if z > 0 { edges = below.map { RegionEdge(a: $0, b: ids[0], histogram: histogram) } + edges }
    return SectionGraph(z: z, fragments: ids, areas: [30, 33], edges: edges)
  }

  /// What the call throws.
  static func reason(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch { return "\(error)" }
  }
}
