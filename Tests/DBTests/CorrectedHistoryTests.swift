import DB
import Domain
import Testing

/// Random histories of sections, revisions, previews and edits by people.
@Suite struct CorrectedHistoryTests {
  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func theLogGivesTheTables(seed: UInt64) throws {
    var history = try CorrectedHistory(seed: seed)
    for _ in 0..<24 { try history.step() }
    try history.replay()
  }

  /// The histories above would prove little if some kind of change never happened in them.
  @Test func everyKindOfChangeOccurs() throws {
    var found = Set<String>()
    for seed in 1...6 as ClosedRange<UInt64> {
      var history = try CorrectedHistory(seed: seed)
      for _ in 0..<24 { try history.step() }
      for query in [
        "select distinct kind from operation", "select distinct 'event ' || event from lineage_event",
        "select distinct decision from correction", "select distinct 'conflict ' || kind from conflict",
        "select 'carried' from correction c join operation o using (operation_id) where o.kind = 'revision'",
        "select distinct 'closed ' || kind from conflict where resolved_operation_id is not null",
      ] {
        for row in try history.stack.database.connection.execute(query).table(columns: 1) { found.formUnion(row) }
      }
    }
    #expect(
      found.isSuperset(of: [
        "merge", "split", "lock", "annotate", "undo", "redo", "revision", "section_final", "section_provisional",
        "event merged", "event split", "event revised", "event corrected", "join", "separate", "refuse", "note",
        "conflict refused", "conflict lost", "conflict locked_split", "carried", "closed refused",
      ]), "\(found.sorted())")
  }
}

struct CorrectedHistory {
  let stack: TestVolume
  let seed: UInt64
  var world: World
  private let person: Proofreader
  private var generator: SeededGenerator
  private var snapshots: [(operation: Int64, membership: [FragmentID: SegmentID])] = []
  private var bytes = 0
  private var edits: [Int64] = []
  /// From a section to the next.
  private let apart: SectionNumber

  init(seed: UInt64, apart: SectionNumber = 1) throws {
    self.apart = apart
    stack = try TestVolume()
    person = Proofreader(stack.database.connection)
    self.seed = seed
    generator = SeededGenerator(seed: seed &+ 1000)
    world = World(looksAhead: seed % 2 == 0, seed: seed)
  }

  mutating func step() throws {
    let fragments = try stack.membership().keys.sorted()
    if fragments.count < 6 || Int.random(in: 0..<3, using: &generator) == 0 {
      try commitSections()
    } else {
      do {
        try edit(fragments)
      } catch let error as DatabaseError {
        // What a person can run into; nothing else.
        #expect(["55000", "55006"].contains(error.sqlstate ?? ""), "\(error), seed \(seed)")
      }
    }
    try check()
  }

  private mutating func commitSections() throws {
    let before = world
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let z = apart * SectionNumber.random(in: 0...6, using: &generator)
      let revision = Int.random(in: 0..<3, using: &generator)
      if world.revisions[z] != revision { bytes += 1 }
      if world.revisions[z] != revision || before.revisions[z] == nil { try stack.receive(z, bytes: 1000 + bytes) }
      world.revisions[z] = revision
    }
    let changed = world.differences(from: before)
    if changed.isEmpty { return }
    if let z = changed.first(where: { before.revisions[$0] == nil }) { try preview(z) }
    let commits = changed.map { z in
      var commit = world.commit(z)
      if before.revisions[z] != nil { commit.replaced = overlaps(before.fragments(z), commit.fragments) }
      return commit
    }
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, commits)
  }

  /// Most of the old fragments lie on some of the new ones.
  private mutating func overlaps(
    _ old: [(summary: FragmentSummary, id: FragmentID)], _ new: [(summary: FragmentSummary, id: FragmentID)]
  ) -> [ReplacedOverlap] {
    var overlaps: [ReplacedOverlap] = []
    for fragment in old where Int.random(in: 0..<5, using: &generator) > 0 {
      for _ in 0..<2 {
        let heir = new[Int.random(in: 0..<new.count, using: &generator)].id
        overlaps.append(.init(old: fragment.id, new: heir, pixels: Int.random(in: 1...9, using: &generator)))
      }
    }
    return overlaps
  }

  private mutating func preview(_ z: SectionNumber) throws {
    let fragments = World.fragments(z, UInt32.random(in: 0..<(1 << 22), using: &generator))
    let below = try stack.membership().keys.filter { $0.z == z - apart }.sorted()
    let edges = World.edges(fragments.map(\.id), below, generator.next())
    try stack.record.commitProvisional(
      volume: stack.volume, run: stack.run,
      SectionCommit(z: z, file: "p\(z).h5", signature: "p", fragments: fragments, edges: edges))
  }

  private mutating func edit(_ fragments: [FragmentID]) throws {
    let membership = try stack.membership()
    func segment(_ fragment: FragmentID) -> FragmentID { FragmentID(rawValue: membership[fragment]?.rawValue ?? 0) }
    let one = fragments[Int.random(in: 0..<fragments.count, using: &generator)]
    let mates = fragments.filter { membership[$0] == membership[one] && $0 != one }
    let others = fragments.filter { membership[$0] != membership[one] }
    switch Int.random(in: 0..<12, using: &generator) {
    case 0...2 where !others.isEmpty:
      edits.append(
        try person.merge(segment(one), segment(others[Int.random(in: 0..<others.count, using: &generator)])))
    case 3...4 where !mates.isEmpty:
      let other = mates[Int.random(in: 0..<mates.count, using: &generator)]
      edits.append(try person.split(segment(one), between: one, other))
      let now = try stack.membership()
      #expect(now[one] != now[other], "seed \(seed)")
    case 5...6 where !mates.isEmpty:
      let kept = Int.random(in: 0..<mates.count, using: &generator)
      let off = [one] + mates.enumerated().filter { $0.offset != kept && $0.offset % 2 == 0 }.map(\.element)
      edits.append(try person.split(segment(one), off))
      let now = try stack.membership()
      let names = Set(off.compactMap { now[$0] })
      #expect(mates.filter { !off.contains($0) }.allSatisfy { now[$0].map(names.contains) == false }, "seed \(seed)")
    case 7: edits.append(try person.lock(segment(one)))
    case 8: edits.append(try person.annotate(segment(one), "looked at"))
    case 9...10 where !edits.isEmpty: try person.undo(edits[Int.random(in: 0..<edits.count, using: &generator)])
    default:
      if !edits.isEmpty { try person.redo(edits[Int.random(in: 0..<edits.count, using: &generator)]) }
    }
  }

  private mutating func check() throws {
    let found = try stack.membership()
    #expect(try found == expected(), "seed \(seed)")
    for fault in try stack.record.checkLineage(volume: stack.volume).faults {
      Issue.record("seed \(seed): \(fault)")
    }
    if let operation = try stack.record.lastOperation(volume: stack.volume) { snapshots.append((operation, found)) }
  }

  /// What the tables must say: components over the world's accepted edges and the corrections in force.
  private func expected() throws -> [FragmentID: SegmentID] {
    var pairs = Set(world.present.flatMap { world.edges($0) }.filter(\.accepted).map { [$0.a, $0.b] })
    func corrections(_ decision: String) throws -> [[FragmentID]] {
      try person.corrections(decision).map { row in row.compactMap { UInt64($0).map(FragmentID.init(rawValue:)) } }
    }
    pairs.formUnion(try corrections("join"))
    pairs.subtract(try corrections("separate"))
    pairs.subtract(try corrections("refuse"))
    let ids = world.present.flatMap { world.fragments($0).map(\.id) }.sorted()
    var place: [FragmentID: Int] = [:]
    for (index, id) in ids.enumerated() { place[id] = index }
    var sets = UnionFind(count: ids.count)
    for pair in pairs {
      if let a = place[pair[0]], let b = place[pair[1]] {
        sets.union(a, b)
      } else {
        Issue.record("a correction stands on a fragment that is not there, seed \(seed)")
      }
    }
    return ids.indices.reduce(into: [:]) { $0[ids[$1]] = SegmentID(rawValue: ids[sets.find($1)].rawValue) }
  }

  /// The log alone says what every past state was, and so do the edges there were.
  func replay() throws {
    for snapshot in snapshots {
      #expect(try stack.membership(asOf: snapshot.operation) == snapshot.membership, "seed \(seed)")
      let ids = snapshot.membership.keys.sorted()
      let rows = try stack.database.connection.execute(
        "select fragment_a, fragment_b from edges_as_of($1::integer, $2::bigint[], $3)",
        [.int(stack.volume), .ints(ids.map { Int64($0.rawValue) }), .int(snapshot.operation)])
      var place: [Int64: Int] = [:]
      for (index, id) in ids.enumerated() { place[Int64(id.rawValue)] = index }
      var sets = UnionFind(count: ids.count)
      for row in 0..<rows.count {
        let (a, b) = (try #require(place[rows.int(row, 0)]), try #require(place[rows.int(row, 1)]))
        sets.union(a, b)
      }
      for (index, id) in ids.enumerated() {
        #expect(snapshot.membership[id]?.rawValue == ids[sets.find(index)].rawValue, "seed \(seed)")
        let then = try stack.database.connection.execute(
          "select segment_of($1::integer, $2, $3)", [.int(stack.volume), .id(id), .int(snapshot.operation)])
        #expect(try then.int(0, 0) == Int64(ids[sets.find(index)].rawValue), "seed \(seed)")
      }
    }
  }
}
