import Domain

/// The steps of `SegmentDiff.init`.
struct SegmentDiffBuilder {
  private let input: SegmentDiff.Input
  /// Ids of the nodes, ascending: fragments, and contracted segments by their id (a fragment id too).
  private(set) var nodes: [UInt64] = []
  /// Smallest node of each node's component.
  private(set) var component: [Int] = []
  private(set) var survivingNodes: [Int] = []
  private(set) var addedNodes: [Int] = []
  private(set) var appeared: [SegmentID] = []
  private(set) var retired: [SegmentDiff.Retirement] = []
  private(set) var events: [LineageEvent] = []

  private var indexOfNode: [UInt64: Int] = [:]
  private var edgeNodes: [(Int, Int)] = []
  /// Segments that were live before, ascending; the rest is parallel to it.
  private var formers: [UInt64] = []
  private var indexOfFormer: [UInt64: Int] = [:]
  /// Components that hold parts of it, ascending.
  private var parts: [[Int]] = []
  /// The component that continues it.
  private var heir: [Int?] = []
  private var removedSections: [[SectionNumber]] = []
  /// Former segment of each node, -1 for added fragments.
  private var formerOfNode: [Int] = []

  init(_ input: SegmentDiff.Input) { self.input = input }

  mutating func build() {
    numberNodes()
    connect()
    followFormers()
    describeComponents()
    describeVanished()
  }

  private mutating func numberNodes() {
    var contractedNode: [UInt64: UInt64] = [:]
    for member in input.contracted { contractedNode[member.fragment.rawValue] = member.segment.rawValue }
    var ids = input.surviving.map(\.fragment.rawValue) + input.added.map(\.rawValue)
    ids += input.contracted.map(\.segment.rawValue)
    ids.sort()
    for id in ids where nodes.last != id { nodes.append(id) }
    indexOfNode.reserveCapacity(nodes.count)
    for (index, id) in nodes.enumerated() { indexOfNode[id] = index }
    survivingNodes = input.surviving.map { index(of: $0.fragment.rawValue) }
    addedNodes = input.added.map { index(of: $0.rawValue) }
    edgeNodes = input.edges.map { edge in
      (
        index(of: contractedNode[edge.a.rawValue] ?? edge.a.rawValue),
        index(of: contractedNode[edge.b.rawValue] ?? edge.b.rawValue)
      )
    }
  }

  private func index(of id: UInt64) -> Int {
    guard let index = indexOfNode[id] else { preconditionFailure("edge to fragment \(id), which was not given") }
    return index
  }

  private mutating func connect() {
    var sets = UnionFind(count: nodes.count)
    for (a, b) in edgeNodes { sets.union(a, b) }
    component = nodes.indices.map { sets.find($0) }
  }

  private mutating func followFormers() {
    var ids = input.surviving.map(\.segment.rawValue) + input.removed.map(\.segment.rawValue)
    ids += input.contracted.map(\.segment.rawValue)
    ids.sort()
    for id in ids where formers.last != id {
      indexOfFormer[id] = formers.count
      formers.append(id)
    }
    formerOfNode = Array(repeating: -1, count: nodes.count)
    var placed = zip(survivingNodes, input.surviving).map { ($0, indexOfFormer[$1.segment.rawValue] ?? -1) }
    placed += input.contracted.map { (index(of: $0.segment.rawValue), indexOfFormer[$0.segment.rawValue] ?? -1) }
    for (node, former) in placed { formerOfNode[node] = former }
    var counts = formers.map { _ in [Int: Int]() }
    for (node, former) in formerOfNode.enumerated() where former >= 0 {
      counts[former][component[node], default: 0] += 1
    }
    parts = counts.map { $0.keys.sorted() }
    heir = formers.indices.map { former in
      if let node = indexOfNode[formers[former]], formerOfNode[node] == former { return component[node] }
      return parts[former].max { (counts[former][$0] ?? 0, -$0) < (counts[former][$1] ?? 0, -$1) }
    }
    removedSections = formers.map { _ in [] }
    for member in input.removed.sorted(by: { $0.fragment < $1.fragment }) {
      guard let former = indexOfFormer[member.segment.rawValue] else { continue }
      if removedSections[former].last != member.fragment.z { removedSections[former].append(member.fragment.z) }
    }
  }

  private mutating func describeComponents() {
    var formersIn: [Int: [Int]] = [:]
    for former in formers.indices {
      for part in parts[former] { formersIn[part, default: []].append(former) }
    }
    var addedSections: [Int: [SectionNumber]] = [:]
    for node in addedNodes.sorted() {
      let z = FragmentID(rawValue: nodes[node]).z
      if addedSections[component[node]]?.last != z { addedSections[component[node], default: []].append(z) }
    }
    let causes = mergeCauses(formersIn)
    for root in nodes.indices where component[root] == root {
      describe(root, formers: formersIn[root] ?? [], addedIn: addedSections[root] ?? [], causes)
    }
    retired.sort { $0.segment < $1.segment }
  }

  private mutating func describe(
    _ root: Int, formers inside: [Int], addedIn sections: [SectionNumber], _ causes: [Int: Int]
  ) {
    let segment = SegmentID(rawValue: nodes[root])
    let continued = indexOfFormer[segment.rawValue].flatMap { heir[$0] == root ? $0 : nil }
    let heirs = inside.filter { heir[$0] == root && $0 != continued }
    var carried: Int?
    if let continued {
      for z in removedSections[continued] { events.append(LineageEvent(.revised, segment, other: segment, z: z)) }
      for z in sections where !removedSections[continued].contains(z) {
        events.append(LineageEvent(.grown, segment, z: z))
      }
    } else {
      appeared.append(segment)
      carried = heirs.first { indexOfNode[formers[$0]].map { formerOfNode[$0] < 0 } ?? true }
      if let carried {
        let z = removedSections[carried].first ?? input.z
        events.append(LineageEvent(.revised, segment, other: SegmentID(rawValue: formers[carried]), z: z))
      } else if inside.allSatisfy({ heir[$0] == root }) {
        events.append(LineageEvent(.born, segment, z: FragmentID(rawValue: nodes[root]).z))
      }
    }
    for former in inside where heir[former] != root {
      events.append(LineageEvent(.split, SegmentID(rawValue: formers[former]), other: segment, z: input.z))
    }
    for former in heirs {
      let id = SegmentID(rawValue: formers[former])
      retired.append(.init(segment: id, successor: segment))
      guard former != carried else { continue }
      let cause = causes[former].map { input.edges[$0] }
      events.append(LineageEvent(.merged, segment, other: id, z: cause?.b.z ?? input.z, cause: cause))
    }
  }

  private mutating func describeVanished() {
    for former in formers.indices where heir[former] == nil {
      let id = SegmentID(rawValue: formers[former])
      retired.append(.init(segment: id, successor: nil))
      events.append(LineageEvent(.revised, id, z: removedSections[former].first ?? input.z))
    }
    retired.sort { $0.segment < $1.segment }
  }

  /// For each former segment that joins a smaller one, the edge that joined them when edges are taken by
  /// falling score (ties: smaller ids first): the edge without which, at its score, they would be apart.
  private func mergeCauses(_ formersIn: [Int: [Int]]) -> [Int: Int] {
    var joining = [Bool](repeating: false, count: nodes.count)
    for former in formers.indices {
      if let root = heir[former], nodes[root] != formers[former] { joining[root] = true }
    }
    var order = edgeNodes.indices.filter { joining[component[edgeNodes[$0].0]] }
    if order.isEmpty { return [:] }
    order.sort { left, right in
      let (l, r) = (input.edges[left], input.edges[right])
      return (-l.score, l.a, l.b) < (-r.score, r.a, r.b)
    }
    var sets = UnionFind(count: nodes.count)
    var first: [[Int: Int]] = formers.map { _ in [:] }
    for (node, former) in formerOfNode.enumerated() where former >= 0 {
      if let other = first[former][component[node]] {
        sets.union(node, other)
      } else {
        first[former][component[node]] = node
      }
    }
    // Smallest former segment of each group, among those whose heir is the component.
    var smallest: [Int: Int] = [:]
    for former in formers.indices {
      guard let root = heir[former], let node = first[former][root] else { continue }
      smallest[sets.find(node)] = former
    }
    var causes: [Int: Int] = [:]
    for edge in order {
      let (a, b) = (sets.find(edgeNodes[edge].0), sets.find(edgeNodes[edge].1))
      guard a != b else { continue }
      let (left, right) = (smallest[a], smallest[b])
      sets.union(a, b)
      let joined = [left, right].compactMap { $0 }
      if let younger = joined.max(), joined.count == 2 { causes[younger] = edge }
      // The smallest former segment may join a smaller new fragment: its strongest edge says why.
      for former in joined where causes[former] == nil && nodes[min(a, b)] < formers[former] { causes[former] = edge }
      if let older = joined.min() { smallest[min(a, b)] = older }
    }
    return causes
  }
}
