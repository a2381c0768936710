import Domain

/// The region graphs of a window, end to end, as they cross to another program or language.
struct FlatWindow {
  var z: [Int32] = []
  /// Of section s: fragmentStart[s] ..< fragmentStart[s + 1].
  var fragmentStart: [Int64] = [0]
  var fragments: [UInt64] = []
  var areas: [Int64] = []
  var edgeStart: [Int64] = [0]
  var a: [UInt64] = []
  var b: [UInt64] = []
  var histogramStart: [Int64] = [0]
  var bins: [UInt8] = []
  var counts: [UInt32] = []
  var decided: Range<Int>
  /// Edges of each decided section.
  var decisions: [Int]

  init(_ window: [SectionGraph], decided: Range<Int>) {
    self.decided = decided
    decisions = decided.map { window[$0].edges.count }
    for section in window {
      z.append(section.z)
      for fragment in section.fragments { fragments.append(fragment.rawValue) }
      for area in section.areas { areas.append(Int64(area)) }
      fragmentStart.append(Int64(fragments.count))
      let edges = section.edges
      for id in edges.a { a.append(id.rawValue) }
      for id in edges.b { b.append(id.rawValue) }
      let before = Int64(bins.count)
      for end in edges.start.dropFirst() { histogramStart.append(before + Int64(end)) }
      bins += edges.bins
      counts += edges.counts
      edgeStart.append(Int64(a.count))
    }
  }
}
