import DB
import Domain
import Testing

@Suite struct SegmentDiffTests {
  private func fragment(_ z: SectionNumber, _ label: UInt32, _ signature: UInt32 = 1) -> FragmentID {
    FragmentID(z: z, signature: signature, label: label)
  }
  private func segment(_ id: FragmentID) -> SegmentID { SegmentID(rawValue: id.rawValue) }
  private func member(_ fragment: FragmentID, _ first: FragmentID) -> SegmentDiff.Member {
    .init(fragment: fragment, segment: segment(first))
  }

  @Test func newPiecesAreBorn() {
    var input = SegmentDiff.Input(z: 1)
    input.added = [fragment(1, 1), fragment(1, 2), fragment(1, 3)]
    input.edges = [.init(a: fragment(1, 1), b: fragment(1, 3), score: 0.9)]
    let diff = SegmentDiff(input)
    #expect(diff.addedSegments == [segment(fragment(1, 1)), segment(fragment(1, 2)), segment(fragment(1, 1))])
    #expect(diff.events.map(\.kind) == [.born, .born])
    #expect(diff.appeared == [segment(fragment(1, 1)), segment(fragment(1, 2))])
  }

  @Test func theOlderSegmentSurvivesAMergeAndTheWeakestNecessaryEdgeIsTheCause() {
    let (old, young, new) = (fragment(0, 1), fragment(0, 2), fragment(1, 1))
    let inOld = fragment(0, 7)
    var input = SegmentDiff.Input(z: 1)
    input.contracted = [member(inOld, old), member(young, young)]
    input.added = [new]
    input.edges = [.init(a: inOld, b: new, score: 0.9), .init(a: young, b: new, score: 0.6)]
    let diff = SegmentDiff(input)
    #expect(diff.retired == [.init(segment: segment(young), successor: segment(old))])
    #expect(
      diff.events == [
        LineageEvent(.grown, segment(old), z: 1),
        LineageEvent(.merged, segment(old), other: segment(young), z: 1, cause: input.edges[1]),
      ])
  }

  @Test func aSegmentThatFallsApartKeepsItsFirstFragment() {
    let parts = (1...4).map { fragment(0, $0) }
    var input = SegmentDiff.Input(z: 0)
    input.surviving = parts.map { member($0, parts[0]) }
    input.edges = [.init(a: parts[1], b: parts[3], score: 0.5)]
    let diff = SegmentDiff(input)
    #expect(diff.survivingSegments == [0, 1, 2, 1].map { segment(parts[$0]) })
    #expect(
      diff.events == [
        LineageEvent(.split, segment(parts[0]), other: segment(parts[1]), z: 0),
        LineageEvent(.split, segment(parts[0]), other: segment(parts[2]), z: 0),
      ])
  }

  @Test func aSegmentWhoseFirstFragmentWentGoesOnUnderANewName() {
    let (gone, kept, came) = (fragment(0, 1), fragment(1, 1), fragment(0, 1, 2))
    var input = SegmentDiff.Input(z: 0)
    input.removed = [member(gone, gone)]
    input.surviving = [member(kept, gone)]
    input.added = [came]
    input.edges = [.init(a: came, b: kept, score: 0.8)]
    let diff = SegmentDiff(input)
    #expect(diff.events == [LineageEvent(.revised, segment(came), other: segment(gone), z: 0)])
    #expect(diff.retired == [.init(segment: segment(gone), successor: segment(came))])
  }

  @Test func aSegmentWithoutSurvivorsVanishes() {
    let gone = fragment(0, 1)
    var input = SegmentDiff.Input(z: 0)
    input.removed = [member(gone, gone)]
    let diff = SegmentDiff(input)
    #expect(diff.events == [LineageEvent(.revised, segment(gone), z: 0)])
    #expect(diff.retired == [.init(segment: segment(gone), successor: nil)])
  }

  @Test func orderOfTheInputDoesNotMatter() {
    var generator = SeededGenerator(seed: 5)
    let olds = (1...30).map { fragment(0, $0) }
    let news = (1...30).map { fragment(1, $0) }
    var input = SegmentDiff.Input(z: 1)
    input.contracted = olds.map { member($0, $0) }
    input.added = news
    for _ in 0..<60 {
      let a = olds[Int.random(in: 0..<30, using: &generator)]
      let b = news[Int.random(in: 0..<30, using: &generator)]
      if input.edges.contains(where: { $0.a == a && $0.b == b }) { continue }
      input.edges.append(.init(a: a, b: b, score: Float(Int.random(in: 0..<4, using: &generator)) / 4))
    }
    let diff = SegmentDiff(input)
    #expect(diff.events.contains { $0.kind == .merged })
    for _ in 0..<5 {
      var shuffled = input
      shuffled.edges.shuffle(using: &generator)
      shuffled.contracted.shuffle(using: &generator)
      let other = SegmentDiff(shuffled)
      #expect(other.events == diff.events)
      #expect(other.addedSegments == diff.addedSegments)
    }
  }
}
