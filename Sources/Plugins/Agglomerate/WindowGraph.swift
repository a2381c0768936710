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
  ///   - maximaOnly: keep only the largest bin of each histogram, if that is all the scoring looks at.
  init(_ window: [SectionGraph], keepEdgesBelow: Bool, maximaOnly: Bool, stage: String) throws(StageError) {
    self.window = window
    self.stage = stage
    for (lower, upper) in zip(window, window.dropFirst()) where lower.z >= upper.z {
      throw StageError(stage: stage, reason: "section \(lower.z) comes before \(upper.z) in a window; z must ascend.")
    }
    let firstZ = window.first?.z ?? 0
    let outside = (window.first?.edges ?? []).map(\.a).filter { $0.z < firstZ }
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
      if maximaOnly { continue }
      for edge in section.edges { binCount += edge.histogram.bins.count }
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
    let section = window[index]
    for edge in section.edges {
      if index == 0 && !keepEdgesBelow && edge.a.z < section.z { continue }
      let from = try node(edge.a, of: index)
      let to = try node(edge.b, of: index)
      guard from < to && edge.histogram.bins.count == edge.histogram.counts.count else {
        throw StageError(stage: stage, reason: "section \(section.z) has a malformed edge \(edge.a) - \(edge.b).")
      }
      a.append(from)
      b.append(to)
      if !maximaOnly {
        bins.append(contentsOf: edge.histogram.bins)
        counts.append(contentsOf: edge.histogram.counts)
      } else if let bin = edge.histogram.bins.last, let count = edge.histogram.counts.last {
        bins.append(bin)
        counts.append(count)
      }
      start.append(UInt64(bins.count))
    }
    edges.append(first..<a.count)
  }

  /// The number of a fragment that an edge of section `index` names: of that section, or of the one below it.
  private func node(_ id: FragmentID, of index: Int) throws(StageError) -> UInt32 {
    let z = id.z
    if z == window[index].z {
      if let place = Self.place(of: id, in: window[index].fragments) { return UInt32(firstNode[index] + place) }
    } else if index > 0 && z == window[index - 1].z {
      if let place = Self.place(of: id, in: window[index - 1].fragments) {
        return UInt32(firstNode[index - 1] + place)
      }
    } else if index == 0, let place = Self.place(of: id, in: below) {
      return UInt32(place)
    }
    throw StageError(
      stage: stage,
      reason: "an edge of section \(window[index].z) names fragment \(id), which is not in that section or the one "
        + "below it in the stack.")
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
