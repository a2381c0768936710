import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// Every combination of enabled and disabled built-in stages that makes sense: what is stored, and what SQL shows.
@Suite(.serialized) struct StageCombinationTests {
  enum Depth: Int, CaseIterable { case nothing, affinity, watershed, agglomerate }

  static let count = 3

  func bench(_ denoise: Bool, _ depth: Depth) throws -> Bench {
    let bench = try Bench(size: 96)
    func stage(_ name: String, _ least: Depth, _ options: String) -> String {
      depth.rawValue >= least.rawValue ? "\(name): {\(options)}" : "\(name): {enabled: false}"
    }
    bench.configuration = try DaemonConfiguration.parse(
      """
      state_directory: \(bench.folder)/state
      volumes: [{name: test, folder: \(bench.watched)}]
      stages:
        denoise: [{name: median, enabled: \(denoise)}, {name: clahe, enabled: \(denoise)}, {name: nlm, enabled: false}]
        \(stage("affinity", .affinity, "model: \(Bench.model)"))
        \(stage("watershed", .watershed, ""))
        \(stage("agglomerate", .agglomerate, "look_behind: 1, look_ahead: 1, agreement_shift: 0"))
      """, path: "test.yaml")
    return bench
  }

  @Test(arguments: [false, true], Depth.allCases)
  func whatIsStoredAndShown(denoise: Bool, depth: Depth) throws {
    let bench = try bench(denoise, depth)
    try bench.run([(0..<Self.count).map { try bench.write(SectionNumber($0)) }])
    let n = String(Self.count)
    let hasFragments = depth.rawValue >= Depth.watershed.rawValue

    // The record.
    #expect(try bench.query("select count(*)::text from fgnet.sections where state = 'final'") == n)
    let fragments = try bench.query("select count(*)::text from fgnet.fragment where state = 'final'")
    #expect((fragments != "0") == hasFragments)
    #expect(try bench.query("select sum(fragments)::text from fgnet.sections") == fragments)
    #expect((try bench.query("select count(*)::text from fgnet.region_edge") != "0") == hasFragments)
    let accepted = try bench.query("select count(*)::text from fgnet.region_edge where accepted")
    #expect((accepted != "0") == (depth == .agglomerate))
    let segments = Int(try bench.query("select count(*)::text from fgnet.segments")) ?? -1
    switch depth {
    case .nothing, .affinity: #expect(segments == 0)
    case .watershed: #expect(String(segments) == fragments, "every fragment is a segment of its own")
    case .agglomerate: #expect(segments > 0 && segments < Int(fragments) ?? 0)
    }
    #expect(try bench.query("select count(distinct run_id)::text from fgnet.run") == "1")
    let fingerprint = try bench.query("select fingerprint from fgnet.run")
    #expect(fingerprint.contains("median/1") == denoise && fingerprint.contains("clahe/") == denoise)
    #expect(!fingerprint.contains("nlm/"))
    #expect(fingerprint.contains("no affinity") == (depth == .nothing))
    #expect(fingerprint.contains("no watershed") == !hasFragments)
    #expect(fingerprint.contains("no agglomerate") == (depth != .agglomerate))

    // The files.
    let store = SectionStore(directory: bench.configuration.stateDirectory + "/sections/test")
    #expect(try bench.stored().filter(isImageName).count == Self.count, "the sections as they came")
    let file = try bench.query("select file from fgnet.section where z = 1")
    guard depth != .nothing || denoise else { return #expect(file.isEmpty, "nothing was made") }
    let stored = try store.read(file, parts: [.image, .affinities, .fragments, .graph, .summaries])
    #expect((stored.affinities != nil) == (depth != .nothing))
    #expect((stored.fragments != nil) == hasFragments && (stored.graph != nil) == hasFragments)
    #expect((stored.image != nil) == (depth == .nothing), "the denoised image, where it is the result")
    if let image = stored.image { #expect(image != (try bench.volume.section(1).image)) }
    #expect(try bench.stored().contains("images.h5"))
  }
}
