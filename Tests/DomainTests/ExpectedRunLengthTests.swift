import Domain
import Testing

@Suite("Expected run length") struct ExpectedRunLengthTests {
  /// A straight neuron of `count` nodes, 10 nm apart.
  private func straight(_ name: String, _ count: Int) -> Skeleton {
    Skeleton(
      name: name, nodes: (0..<count).map { Skeleton.Node(z: 0, y: 0, x: 10 * Double($0)) },
      edges: (1..<count).map { Skeleton.Edge($0 - 1, $0) })
  }

  @Test("perfect: the mean of the lengths, weighted by length") func perfect() {
    let run = ExpectedRunLength([straight("a", 4), straight("b", 2)], segments: [[5, 5, 5, 5], [6, 6]])
    #expect(run.totalLength == 40 && run.correctLength == 40)
    #expect(run.expected == 25.0)
    #expect(run.expected == run.perfect && run.normalised == 1)
    #expect(run.correctEdges == 4 && run.mergingSegments.isEmpty)
  }

  @Test("one split: the edge between is lost, and two shorter runs remain") func split() {
    let run = ExpectedRunLength([straight("a", 6)], segments: [[1, 1, 1, 2, 2, 2]])
    #expect(run.splitEdges == 1 && run.correctEdges == 4)
    #expect(run.expected == 16.0)
    #expect(run.perfect == 50)
    #expect(run.normalised == 0.32)
  }

  @Test("one merge: both neurons lose everything in the merging segment") func merge() {
    let run = ExpectedRunLength([straight("a", 3), straight("b", 3)], segments: [[4, 4, 4], [4, 4, 9]])
    #expect(run.mergingSegments == [4])
    #expect(run.mergedEdges == 3 && run.splitEdges == 1 && run.correctEdges == 0)
    #expect(run.expected == 0 && run.normalised == 0 && run.perfect == 20)
  }

  @Test("a node of another neuron within the tolerance is no merge") func tolerance() {
    let segments: [[UInt64?]] = [[4, 4, 4], [4, 9, 9]]
    let skeletons = [straight("a", 3), straight("b", 3)]
    #expect(ExpectedRunLength(skeletons, segments: segments, tolerance: 0).mergingSegments == [4])
    let run = ExpectedRunLength(skeletons, segments: segments, tolerance: 1)
    #expect(run.mergingSegments.isEmpty)
    #expect(run.expected == 12.5)
  }

  @Test("no segment: the edges are omitted") func omitted() {
    let run = ExpectedRunLength([straight("a", 4)], segments: [[1, 1, 0, 0]])
    #expect(run.omittedEdges == 2 && run.correctEdges == 1)
    #expect(abs(run.expected - 3.333333) < 1e-6)
    // 0 is no segment: it merges nothing.
    let none = ExpectedRunLength([straight("a", 2), straight("b", 2)], segments: [[0, 0], [0, 0]])
    #expect(none.mergingSegments.isEmpty && none.expected == 0 && none.omittedEdges == 2)
  }

  @Test("a run that goes on in the same segment behind an error is one run") func resumed() {
    let run = ExpectedRunLength([straight("a", 6)], segments: [[1, 1, 0, 1, 1, 1]])
    #expect(run.expected == 18.0)
  }

  @Test("nodes outside the sections are counted, their edges left out") func outside() {
    let run = ExpectedRunLength([straight("a", 5)], segments: [[nil, 1, 1, 1, nil]])
    #expect(run.outsideNodes == 2 && run.outsideEdges == 2)
    #expect(run.totalLength == 20 && run.expected == 20 && run.normalised == 1)
  }

  @Test("empty") func empty() {
    for run in [
      ExpectedRunLength([], segments: []),
      ExpectedRunLength([Skeleton(name: "a", nodes: [], edges: [])], segments: [[]]),
      ExpectedRunLength([straight("a", 1)], segments: [[3]]),
      ExpectedRunLength([straight("a", 2)], segments: [[nil, nil]]),
    ] { #expect(run.expected == 0 && run.perfect == 0 && run.normalised == 0 && run.totalLength == 0) }
  }
}
