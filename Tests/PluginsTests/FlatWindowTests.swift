import Domain
import Testing

@testable import Plugins

/// What crosses to an agglomerate stage from outside.
@Suite struct FlatWindowTests {
  /// Two fragments in each section, in contact with each other and with those of the same label below.
  private func section(_ z: SectionNumber) -> SectionGraph {
    let ids = (1...2).map { FragmentID(z: z, signature: 1, label: UInt32($0)) }
    let below = (1...2).map { FragmentID(z: z - 1, signature: 1, label: UInt32($0)) }
    func edge(_ a: FragmentID, _ b: FragmentID, _ bins: [UInt8]) -> RegionEdge {
      RegionEdge(a: a, b: b, histogram: AffinityHistogram(bins: bins, counts: bins.map { UInt32($0) + 1 }))
    }
    return SectionGraph(
      z: z, fragments: ids, areas: [10, 20],
      edges: [edge(below[0], ids[0], [7, 9]), edge(below[1], ids[1], [200]), edge(ids[0], ids[1], [3, 4, 5])])
  }

  @Test func edgesThatLeadOutOfTheWindowStayOutside() {
    let window = (4...6).map { section($0) }
    let flat = FlatWindow(window, decided: 1..<2)
    #expect(flat.edgeStart == [0, 1, 4, 7])
    #expect(Set(flat.a + flat.b).isSubset(of: flat.fragments))
    #expect(flat.decisions == [3])
    // The histograms are still those of the edges.
    #expect(flat.histogramStart == [0, 3, 5, 6, 9, 11, 12, 15])
    #expect(Array(flat.bins[..<6]) == [3, 4, 5, 7, 9, 200] && Array(flat.counts[..<6]) == [4, 5, 6, 8, 10, 201])
  }
}
