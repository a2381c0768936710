import DB
import Domain
import Foundation
import Logging
import Simulator
import Volumes

@testable import Daemon

/// A daemon without its intake, on a private cluster in a folder of its own, with simulated sections to offer.
final class Bench {
  static let root = #filePath.replacing("Tests/DaemonTests/Bench.swift", with: "")
  static let model = root + "models/fgnet-nano.h5"

  let folder: String
  let watched: String
  var configuration: DaemonConfiguration
  let volume: SimulatedVolume

  init(size: Int = 192, seed: UInt64 = 11, stages: String = "") throws {
    folder = NSTemporaryDirectory() + "fgnetd-test-" + UUID().uuidString
    watched = folder + "/watched"
    try FileManager.default.createDirectory(atPath: watched, withIntermediateDirectories: true)
    configuration = try DaemonConfiguration.parse(
      """
      state_directory: \(folder)/state
      volumes:
        - name: test
          folder: \(watched)
      stages:
        affinity:
          model: \(Self.model)
      \(stages)
      """, path: "test")
    var options = SimulationOptions()
    options.seed = seed
    options.height = size
    options.width = size
    volume = try SimulatedVolume(options)
  }

  deinit {
    try? EmbeddedCluster(directory: configuration.stateDirectory + "/postgres").stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Writes a section as the microscope would; returns what the intake would offer.
  @discardableResult
  func write(_ z: SectionNumber, as name: String? = nil, like other: SectionNumber? = nil) throws -> OfferedFile {
    let path = watched + "/" + (name ?? "s\(z).png")
    try PNGWriter.write(gray: volume.section(other ?? z).image, to: path)
    return try offer(path, z)
  }

  func offer(_ path: String, _ z: SectionNumber) throws -> OfferedFile {
    var status = stat()
    guard stat(path, &status) == 0 else { throw OperatorError("no \(path)") }
    return OfferedFile(
      volume: "test", z: z, path: path, size: Int64(status.st_size),
      mtimeNs: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
  }

  /// Runs a daemon over groups of files: each group is offered when the work on the one before is done. At the end the volume
  /// is finished, if wanted, and all work done.
  /// - Parameter prepare: changes the daemon before it opens.
  func run(
    _ groups: [[OfferedFile]], missing: [SectionNumber] = [], finish: Bool = true,
    prepare: (DaemonCore) throws -> Void = { _ in }
  ) throws {
    let inbox = Inbox()
    let core = try DaemonCore(configuration: configuration, inbox: inbox, log: .silent)
    core.shortestPause = 0.01
    try prepare(core)
    try core.open()
    defer { core.close() }
    for group in groups {
      inbox.offer(group)
      try core.run { true }
    }
    for z in missing { try core.pipelines[0].declareMissing(z) }
    if finish { try core.pipelines[0].finish(at: nil) }
    try core.run { true }
  }

  /// Everything that promise 2 says must not depend on the order of arrival, as text: current rows without times and numbers of
  /// operations, and the pixels of the files they name.
  func finalState() throws -> String {
    try withRecord(configuration) { record in
      let queries = [
        "select z, state, content_sha256, file, signature from fgnet.section where state <> 'superseded' order by z",
        """
        select f.fragment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.state, s.live_id
        from fgnet.fragment f join fgnet.segment s using (volume_id, segment_id) order by 1
        """,
        """
        select fragment_a, fragment_b, z, contact_area_px, mean_affinity, score, accepted from fgnet.region_edge
        order by 1, 2
        """,
        "select segment_id from fgnet.segment where state = 'live' order by 1",
      ]
      var text = ""
      for query in queries {
        let result = try record.connection.execute("select string_agg(q::text, E'\\n') from (\(query)) q")
        text += (try result.optionalText(0, 0) ?? "") + "\n--\n"
      }
      let store = SectionStore(directory: configuration.stateDirectory + "/sections/test")
      guard let volume = try record.volumes().first else { return text }
      for row in try record.sections(volume.id) {
        if let file = row.file, !file.isEmpty {
          text += try "\(row.z) " + ContentHash.sha256(ofFile: store.path(file)) + "\n"
        }
      }
      return text
    }
  }

  func query(_ sql: String) throws -> String {
    try withRecord(configuration) { record in
      try record.connection.execute(sql).optionalText(0, 0) ?? ""
    }
  }

  /// Files in the store's folder.
  func stored() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: configuration.stateDirectory + "/sections/test").sorted()
  }
}

extension Logger {
  /// Says nothing.
  static var silent: Logger {
    Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  }
}
