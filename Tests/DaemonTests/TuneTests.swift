import Domain
import Plugins
import Testing
import Volumes

@testable import Daemon

@Suite struct TuneTests {
  private func truth(_ bench: Bench, _ sections: Range<SectionNumber>, _ folder: ScratchFolder) throws -> LabelSource {
    let planes = try sections.map { z in
      let labels = try bench.volume.section(z).labels
      return Plane<UInt16>(
        height: labels.height, width: labels.width, storage: labels.storage.map { UInt16(truncatingIfNeeded: $0) })
    }
    return try LabelSource.open(folder.planes("truth", planes))
  }

  /// What `tune` finds for the options in force is what `evaluate` finds for the daemon's own segments.
  @Test func theOptionsInForceScoreAsTheDaemonDid() throws {
    let bench = try Bench(size: 128)
    try bench.run([try (0..<6).map { try bench.write($0) }])
    let folder = try ScratchFolder()
    let truth = try truth(bench, 0..<6, folder)
    let set = try #require(try StageMaker(bench.configuration).make().first)
    let watershed = try #require(set.watershed as? SeededWatershed)
    let agglomerate = try #require(set.agglomerate as? Agglomerator)
    try withSegmentedVolume(bench.configuration, "test") { segmented in
      var daemon = Contingency()
      for z in SectionNumber(0)..<6 {
        let found = try segmented.segments(segmented.section(z))
        daemon.addSection(truth: try truth.plane(Int(z)), found: found)
      }
      let stack = try LabelledStack(
        segmented, truth: truth, firstZ: nil, watershed: watershed, gapConfidence: set.gapConfidence)
      let tried = try stack.contingency(agglomerate, atOnce: false)
      #expect(tried.total == daemon.total)
      #expect(abs(tried.variationOfInformation().sum - daemon.variationOfInformation().sum) < 1e-9)
      #expect(abs(tried.adaptedRandError() - daemon.adaptedRandError()) < 1e-9)
      // A threshold that nothing reaches leaves fragments: no merge but theirs, and many more splits.
      var strict = agglomerate.options
      strict.threshold = 1
      let apart = try stack.contingency(Agglomerator(strict), atOnce: true).variationOfInformation()
      #expect(apart.split > tried.variationOfInformation().split + 0.5)
      #expect(apart.merge <= tried.variationOfInformation().merge + 1e-9)
    }
  }

  @Test func labelsOfAnotherShapeAreRefused() throws {
    let bench = try Bench(size: 64)
    try bench.run([[try bench.write(0)]])
    let folder = try ScratchFolder()
    let other = try LabelSource.open(folder.planes("other", [Plane<UInt16>(height: 32, width: 64, repeating: 1)]))
    try withSegmentedVolume(bench.configuration, "test") { segmented in
      #expect(throws: OperatorError.self) {
        try LabelledStack(segmented, truth: other, firstZ: nil, watershed: SeededWatershed(), gapConfidence: 1)
      }
      #expect(throws: OperatorError.self) {
        try LabelledStack(segmented, truth: other, firstZ: 7, watershed: SeededWatershed(), gapConfidence: 1)
      }
    }
  }

  @Test func listsOfValues() throws {
    #expect(try TuneCommand.numbers("0.2,0.5") == [0.2, 0.5])
    #expect(try TuneCommand.scorings("mean,quantile") == [.mean, .quantile])
    #expect(throws: (any Error).self) { try TuneCommand.numbers("0.2,x") }
    #expect(throws: (any Error).self) { try TuneCommand.scorings("median") }
    #expect(throws: (any Error).self) { try TuneCommand.flags("yes") }
  }
}
