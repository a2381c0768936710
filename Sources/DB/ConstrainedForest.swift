import Domain

/// Disjoint sets of fragments that grow only as far as the corrections allow.
struct ConstrainedForest {
  private var sets: UnionFind
  private var indexOfNode: [UInt64: Int] = [:]
  /// Node of a fragment whose segment is contracted.
  private var contracted: [FragmentID: UInt64] = [:]
  /// Ends of separations in each set, by representative: twice the obstacle's place, plus 1 for the second end.
  private var ends: [Int: Set<Int>] = [:]
  /// Segments of before in each set, by representative; kept only if one is locked.
  private var formers: [Int: Set<SegmentID>] = [:]
  private var lockOf: [SegmentID: Int] = [:]

  init(_ input: SegmentDiff.Input, _ obstacles: [CommitCorrections.Obstacle]) {
    for member in input.contracted { contracted[member.fragment] = member.segment.rawValue }
    let own = input.surviving.map(\.fragment) + input.added
    let nodes = own.map(\.rawValue) + input.contracted.map(\.segment.rawValue)
    for id in nodes where indexOfNode[id] == nil { indexOfNode[id] = indexOfNode.count }
    sets = UnionFind(count: indexOfNode.count)
    let ownIDs = Set(own)
    for (place, obstacle) in obstacles.enumerated() {
      guard let other = obstacle.other else {
        if lockOf[obstacle.segments.a] == nil { lockOf[obstacle.segments.a] = place }
        continue
      }
      for (side, end) in [(obstacle.fragment, obstacle.segments.a), (other, obstacle.segments.b)].enumerated() {
        let id = ownIDs.contains(end.0) ? end.0.rawValue : end.1.rawValue
        if let node = indexOfNode[id] { ends[node, default: []].insert(2 * place + side) }
      }
    }
    if lockOf.isEmpty { return }
    for member in input.surviving { insert(member.segment, at: member.fragment.rawValue) }
    for member in input.contracted { insert(member.segment, at: member.segment.rawValue) }
    // A new fragment that a lock was carried to stands for the locked segment.
    for obstacle in obstacles where obstacle.other == nil && ownIDs.contains(obstacle.fragment) {
      insert(obstacle.segments.a, at: obstacle.fragment.rawValue)
    }
  }

  private mutating func insert(_ former: SegmentID, at id: UInt64) {
    if let node = indexOfNode[id] { formers[node, default: []].insert(former) }
  }

  private func node(_ fragment: FragmentID) -> Int {
    guard let node = indexOfNode[contracted[fragment] ?? fragment.rawValue] else {
      preconditionFailure("edge to fragment \(fragment), which was not given")
    }
    return node
  }

  /// Joins the sets of two fragments.
  /// - Returns: nil, or the place of the obstacle because of which they stay apart.
  mutating func join(_ a: FragmentID, _ b: FragmentID) -> Int? {
    let (left, right) = (sets.find(node(a)), sets.find(node(b)))
    if left == right { return nil }
    let (leftEnds, rightEnds) = (ends[left] ?? [], ends[right] ?? [])
    let (few, many) = leftEnds.count < rightEnds.count ? (leftEnds, rightEnds) : (rightEnds, leftEnds)
    var obstacle = few.filter { many.contains($0 ^ 1) }.map { $0 / 2 }.min()
    let inside = (formers[left] ?? []).union(formers[right] ?? [])
    if obstacle == nil, inside.count > 1, !(formers[left] ?? []).isEmpty, !(formers[right] ?? []).isEmpty {
      obstacle = inside.compactMap { lockOf[$0] }.min()
    }
    if let obstacle { return obstacle }
    sets.union(left, right)
    let root = sets.find(left)
    for old in [left, right] where old != root {
      ends[old] = nil
      formers[old] = nil
    }
    ends[root] = leftEnds.union(rightEnds)
    if !inside.isEmpty { formers[root] = inside }
    return nil
  }
}

/// The segments that the edges of a commit would put together, if nothing stood against it. Of a commit that takes nothing
/// away: a segment that meets no other one runs against no correction.
struct Meetings {
  /// Above so many pairs, reading all corrections of the segments is cheaper.
  static let fewPairs = 100_000

  /// Segments, and beside each which of them come together: equal numbers do.
  private(set) var segments: [SegmentID] = []
  private(set) var components: [Int] = []
  /// Pairs of segments that come together, in both orders.
  private(set) var pairs = 0

  init(_ input: SegmentDiff.Input) {
    var contracted: [FragmentID: UInt64] = [:]
    for member in input.contracted { contracted[member.fragment] = member.segment.rawValue }
    var indexOfNode: [UInt64: Int] = [:]
    for id in input.added.map(\.rawValue) + input.contracted.map(\.segment.rawValue) where indexOfNode[id] == nil {
      indexOfNode[id] = indexOfNode.count
    }
    var sets = UnionFind(count: indexOfNode.count)
    for edge in input.edges {
      guard let a = indexOfNode[contracted[edge.a] ?? edge.a.rawValue],
        let b = indexOfNode[contracted[edge.b] ?? edge.b.rawValue]
      else { preconditionFailure("edge \(edge.a) - \(edge.b) ends in a fragment that was not given") }
      sets.union(a, b)
    }
    var met: [Int: [SegmentID]] = [:]
    for segment in Set(input.contracted.map(\.segment)).sorted() {
      if let node = indexOfNode[segment.rawValue] { met[sets.find(node), default: []].append(segment) }
    }
    for (component, together) in met.sorted(by: { $0.key < $1.key }) where together.count > 1 {
      segments += together
      components += Array(repeating: component, count: together.count)
      pairs += together.count * (together.count - 1)
    }
  }
}
