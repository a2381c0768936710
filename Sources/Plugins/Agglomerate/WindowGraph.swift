import Domain

/// The region graph of a window with its nodes numbered as their ids ascend and its histograms end to end, as the C
/// kernel takes it.
struct WindowGraph {
  /// Pixels of each node.
  private(set) var areas: [UInt64] = []
  /// Nodes at the ends of each edge, a < b.
  private(set) var a: [UInt32] = []
  private(set) var b: [UInt32] = []
  /// Edge i has the histogram entries start[i] ..< start[i + 1].
  private(set) var start: [UInt64] = [0]
  private(set) var bins: [UInt8] = []
  private(set) var counts: [UInt32] = []
  /// For each section of the window, where its edges are; empty for those that were left out.
  private(set) var edges: [Range<Int>] = []

  private let stage: String
  private let window: [SectionGraph]
  /// Fragments below the window that its first section touches, ascending.
  private let below: [FragmentID]
  /// Number of each section's first node.
  private var firstNode: [Int] = []

  /// - Parameters:
  ///   - keepEdgesBelow: keep the edges of the first section to fragments below the window.
  ///   - maximaOnly: keep only the largest bin of each histogram, counted once, if that is all the scoring looks at.
  init(_ window: [SectionGraph], keepEdgesBelow: Bool, maximaOnly: Bool, stage: String) throws(StageError) {
    self.window = window
    self.stage = stage
    for (lower, upper) in zip(window, window.dropFirst()) where lower.z >= upper.z {
      throw StageError(stage: stage, reason: "section \(lower.z) comes before \(upper.z) in a window; z must ascend.")
    }
    let firstZ = window.first?.z ?? 0
    let outside = window.first?.edges.a.filter { $0.z < firstZ } ?? []
    below = keepEdgesBelow ? Self.unique(outside) : []
    areas = Array(repeating: 0, count: below.count)
    for section in window {
      guard section.areas.count == section.fragments.count else {
        throw StageError(stage: stage, reason: "section \(section.z) has fragments without an area.")
      }
      firstNode.append(areas.count)
      for area in section.areas { areas.append(UInt64(max(0, area))) }
    }
    guard areas.count < Int(Int32.max) else {
      throw StageError(stage: stage, reason: "\(areas.count) fragments in a window; lower look_behind or look_ahead.")
    }
    reserve(maximaOnly: maximaOnly)
    for index in window.indices { try append(index, keepEdgesBelow: keepEdgesBelow, maximaOnly: maximaOnly) }
  }

  private static func unique(_ ids: [FragmentID]) -> [FragmentID] {
    var out: [FragmentID] = []
    for id in ids.sorted() where out.last != id { out.append(id) }
    return out
  }

  private mutating func reserve(maximaOnly: Bool) {
    var edgeCount = 0
    var binCount = 0
    for section in window {
      edgeCount += section.edges.count
      binCount += maximaOnly ? 0 : section.edges.bins.count
    }
    binCount += maximaOnly ? edgeCount : 0
    a.reserveCapacity(edgeCount)
    b.reserveCapacity(edgeCount)
    start.reserveCapacity(edgeCount + 1)
    bins.reserveCapacity(binCount)
    counts.reserveCapacity(binCount)
  }

  private mutating func append(_ index: Int, keepEdgesBelow: Bool, maximaOnly: Bool) throws(StageError) {
    let first = a.count
    let z = window[index].z
    let all = window[index].edges
    let own = (ids: window[index].fragments, first: firstNode[index])
    let lower = index > 0 ? (ids: window[index - 1].fragments, first: firstNode[index - 1]) : (ids: below, first: 0)
    for edge in all.indices {
      let (one, other) = (all.a[edge], all.b[edge])
      if index == 0 && !keepEdgesBelow && one.z < z { continue }
      guard let from = Self.node(one, one.z == z ? own : lower), let to = Self.node(other, own), from < to else {
        throw StageError(
          stage: stage,
          reason:
            "the edge \(one) - \(other) of section \(z) is not one between fragments of that section, or from the "
            + "one below it in the stack to it.")
      }
      a.append(from)
      b.append(to)
      let entries = all.start[edge]..<all.start[edge + 1]
      if !maximaOnly {
        bins += all.bins[entries]
        counts += all.counts[entries]
      } else if !entries.isEmpty {
        bins.append(all.largest[edge])
        counts.append(1)
      }
      start.append(UInt64(bins.count))
    }
    edges.append(first..<a.count)
  }

  /// The number of a fragment among those of a section, whose first node is given.
  private static func node(_ id: FragmentID, _ section: (ids: [FragmentID], first: Int)) -> UInt32? {
    place(of: id, in: section.ids).map { UInt32(section.first + $0) }
  }

  /// Labels mostly run 1, 2, ... without a gap, so the place is tried from the label before it is searched.
  private static func place(of id: FragmentID, in ids: [FragmentID]) -> Int? {
    let guess = Int(id.label) - 1
    if guess < ids.count && ids[guess] == id { return guess }
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < ids.count && ids[low] == id ? low : nil
  }
}
