import Domain
import Foundation
import Testing

@testable import Plugins

/// The suite that stages are held against: passes those that keep the contract, and finds what others lack.
@Suite(.serialized) struct ConformanceTests {
  static func failures(
    _ registry: StageRegistry, _ kind: StageKind, _ name: String, options: [String: OptionValue] = [:]
  ) -> [String] {
    var failures: [String] = []
    let conformance = StageConformance(registry, kind, named: name, options: options, side: 64) { check in
      if check.verdict == .failed { failures.append("\(check.name): \(check.text)") }
    }
    #expect(conformance.run() == failures.isEmpty)
    return failures
  }

  @Test(arguments: [
    (StageKind.denoise, "median"), (.denoise, "nlm"), (.denoise, "clahe"), (.watershed, "seeded"),
    (.agglomerate, "windowed"),
  ])
  func oursKeepTheContract(kind: StageKind, name: String) {
    #expect(Self.failures(.builtIn, kind, name).isEmpty)
  }

  @Test func aProgramByTheModuleKeepsIt() throws {
    let stage = try ExternalBench().command(.denoise, "simple.py")
    #expect(Self.failures(ExternalBench.registry(stage), .denoise, "mine").isEmpty)
  }

  /// A denoiser with a fault.
  struct Faulty: ImageStage {
    let fault: String
    let calls = Counter()
    var name: String { "faulty" }
    var halo: Int { fault == "halo" ? 0 : 1 }
    var fingerprint: String { "faulty" }
    func filter(_ image: inout Plane<Float>) throws(StageError) {
      let count = calls.add()
      switch fault {
      case "memory": image.storage = image.storage.map { min(1, $0 * (count % 3 == 0 ? 1 : 0.5)) }
      case "shape": image = Plane(height: image.height + 1, width: image.width, repeating: 0)
      case "odd" where image.width == 53: throw StageError(stage: name, reason: "widths must be even")
      case "range": image.storage = image.storage.map { $0 + 2 }
      case "halo":
        let old = image
        for y in 1..<max(1, image.height) { for x in 0..<image.width { image[y, x] = old[y - 1, x] } }
      default: image.storage = image.storage.map { $0.isFinite ? $0 : 0 }
      }
    }
  }

  @Test(arguments: [
    ("", nil), ("memory", "determinism: the same input gave another result"), ("shape", "one pixel: it gave 2 x 1"),
    ("odd", "odd size: widths must be even"), ("range", "one pixel: its image has the value"),
    ("halo", "tile equals whole: row 128, column 128 differs"), ("nan", nil),
  ])
  func whatAStageLacksIsFound(fault: String, expected: String?) {
    var registry = StageRegistry()
    registry.register("faulty", "", options: [], .denoise { (_: ResolvedOptions) in Faulty(fault: fault) })
    let found = Self.failures(registry, .denoise, "faulty")
    guard let expected else { return #expect(found.isEmpty, "\(found)") }
    #expect(found.contains { $0.hasPrefix(expected) }, "\(found)")
  }
}
