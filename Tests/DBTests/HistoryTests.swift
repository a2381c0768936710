import DB
import Domain
import Testing

/// Random histories of additions, insertions, revisions and previews.
@Suite struct HistoryTests {
  /// One history: the tables are right after every step, and the past can be replayed at the end.
  @Test(arguments: 1...16 as ClosedRange<UInt64>)
  func tablesFollowTheDefinition(seed: UInt64) throws {
    var history = try History(seed: seed)
    for _ in 0..<10 { try history.step() }
    try history.replay()

    let ordered = try TestVolume()
    var world = World(looksAhead: history.world.looksAhead, seed: history.world.seed)
    for z in history.world.present {
      let before = world
      world.revisions[z] = history.world.revisions[z]
      try ordered.receive(z, bytes: 1)
      try ordered.record.commitFinal(
        volume: ordered.volume, run: ordered.run, world.differences(from: before).map { world.commit($0) })
    }
    #expect(try history.volume.finalTables() == ordered.finalTables(), "seed \(seed)")
  }

  /// The histories above would prove little if some kind of change never happened in them.
  @Test func everyKindOfChangeOccurs() throws {
    var kinds = Set<String>()
    var reasons = Set<String>()
    for seed in 1...4 as ClosedRange<UInt64> {
      var history = try History(seed: seed)
      for _ in 0..<10 { try history.step() }
      let connection = history.volume.database.connection
      for row in try connection.execute("select distinct event from lineage_event").table(columns: 1) {
        kinds.formUnion(row)
      }
      for row in try connection.execute("select distinct reason from fragment_history").table(columns: 1) {
        reasons.formUnion(row)
      }
    }
    #expect(kinds == ["born", "grown", "merged", "split", "revised", "settled"])
    #expect(reasons == ["superseded", "reassigned"])
  }
}

struct History {
  let volume: TestVolume
  let seed: UInt64
  var world: World
  private var generator: SeededGenerator
  private(set) var snapshots: [(operation: Int64, membership: [FragmentID: SegmentID], world: World)] = []
  /// Provisional fragments shown now.
  private var shown: [SectionNumber: [FragmentID]] = [:]
  private var bytes = 0
  /// From a section to the next.
  private let apart: SectionNumber

  init(seed: UInt64, apart: SectionNumber = 1) throws {
    self.apart = apart
    volume = try TestVolume()
    self.seed = seed
    generator = SeededGenerator(seed: seed)
    world = World(looksAhead: seed % 2 == 0, seed: seed)
  }

  mutating func step() throws {
    if Int.random(in: 0..<3, using: &generator) == 0 { try preview() }
    let before = world
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let z = apart * SectionNumber.random(in: -2...6, using: &generator)
      // Now and then the first bytes come back, and with them the old fragment ids.
      let revision = Int.random(in: 0..<3, using: &generator)
      if world.revisions[z] != revision { bytes += 1 }
      if world.revisions[z] != revision || before.revisions[z] == nil { try volume.receive(z, bytes: 1000 + bytes) }
      world.revisions[z] = revision
    }
    let changed = world.differences(from: before)
    if changed.isEmpty { return }
    let commits = changed.shuffled(using: &generator).map { world.commit($0, settled: overlaps($0)) }
    let live = try volume.liveSegments()
    let outcome = try volume.record.commitFinal(volume: volume.volume, run: volume.run, commits)
    for z in changed { shown[z] = nil }
    try check(live, outcome)
  }

  private mutating func overlaps(_ z: SectionNumber) -> [SettledOverlap] {
    let finals = world.fragments(z).map(\.id)
    return (shown[z] ?? []).flatMap { provisional in
      finals.map {
        SettledOverlap(provisional: provisional, final: $0, pixels: Int.random(in: 1...9, using: &generator))
      }
    }
  }

  private mutating func preview() throws {
    let z = apart * SectionNumber.random(in: -2...6, using: &generator)
    if world.revisions[z] == nil, try volume.record.sections(volume.volume).allSatisfy({ $0.z != z }) {
      try volume.receive(z, bytes: 1)
    }
    let signature = UInt32.random(in: 0..<(1 << 22), using: &generator)
    let below = shown[z - apart] ?? (world.revisions[z - apart] == nil ? [] : world.fragments(z - apart).map(\.id))
    let fragments = World.fragments(z, signature)
    let edges = World.edges(fragments.map(\.id), below, generator.next())
    let done = try volume.record.commitProvisional(
      volume: volume.volume, run: volume.run,
      SectionCommit(z: z, file: "p\(z).h5", signature: "p", fragments: fragments, edges: edges))
    #expect(done == (world.revisions[z] == nil), "a preview never hides final rows, seed \(seed)")
    if done { shown[z] = fragments.map(\.id) }
  }

  private mutating func check(_ live: Set<Int64>, _ outcome: CommitOutcome) throws {
    let expected = world.membership()
    let found = try volume.membership()
    #expect(found == expected, "seed \(seed)")
    let now = try volume.liveSegments()
    #expect(now == Set(expected.values.map { Int64($0.rawValue) }), "seed \(seed)")
    #expect(Self.replayed(live, outcome.events) == now, "events explain which segments there are, seed \(seed)")
    let loose = try volume.database.connection.execute(
      """
      select count(*) from segment s left join segment t on t.volume_id = s.volume_id and t.segment_id = s.successor_id
      where (s.successor_id is not null and t.state <> 'live') or (s.state = 'retired' and exists (
        select from fragment f where f.segment_id = s.segment_id and s.successor_id is null))
        or (s.state = 'provisional' and not exists (select from fragment f where f.segment_id = s.segment_id))
      """
    ).int(0, 0)
    #expect(loose == 0, "successors are live and every fragment has a segment, seed \(seed)")
    snapshots.append((outcome.operation, found, world))
  }

  private static func replayed(_ live: Set<Int64>, _ events: [LineageEvent]) -> Set<Int64> {
    var live = live
    for event in events {
      let segment = Int64(event.segment.rawValue)
      let other = event.other.map { Int64($0.rawValue) }
      switch event.kind {
      case .born: live.insert(segment)
      case .merged: if let other { live.remove(other) }
      case .split: if let other { live.insert(other) }
      case .revised:
        live.remove(other ?? segment)
        if other != nil { live.insert(segment) }
      case .grown, .settled: break
      }
    }
    return live
  }

  /// The log alone says what every past state was.
  func replay() throws {
    for snapshot in snapshots {
      #expect(try volume.membership(asOf: snapshot.operation) == snapshot.membership, "seed \(seed)")
    }
  }
}
