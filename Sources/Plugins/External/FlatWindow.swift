import Domain

/// The region graphs of a window, end to end, as they cross to another program or language. Both ends of every edge are among its fragments:
/// a window has a section below those to be decided, unless the stack begins there.
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
    for (index, section) in window.enumerated() {
      z.append(section.z)
      for fragment in section.fragments { fragments.append(fragment.rawValue) }
      for area in section.areas { areas.append(Int64(area)) }
      fragmentStart.append(Int64(fragments.count))
      let edges = section.edges
      for edge in edges.indices {
        // The section below the window is not part of it: neither are the edges to it.
        if index == 0, !decided.contains(0), edges.a[edge].z < section.z { continue }
        a.append(edges.a[edge].rawValue)
        b.append(edges.b[edge].rawValue)
        let entries = edges.start[edge]..<edges.start[edge + 1]
        bins += edges.bins[entries]
        counts += edges.counts[entries]
        histogramStart.append(Int64(bins.count))
      }
      edgeStart.append(Int64(a.count))
    }
  }
}
