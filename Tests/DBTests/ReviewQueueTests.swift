import DB
import Domain
import Testing

/// Where to look next.
@Suite struct ReviewQueueTests {
  /// Columns of 20 pixels a section. 1 and 2 touch with the highest score of what was not accepted, 0.25; 3 and 4 are
  /// joined by an edge just above it, the tips of 1 and 2 hang on weak and less weak ones.
  private func world() throws -> Columns {
    let world = try Columns()
    try world.commit([
      world.section(
        2, 4,
        [
          world.join(world.id(1, 1), world.id(2, 1), 0.3), world.join(world.id(1, 2), world.id(2, 2), 0.45),
          world.join(world.id(1, 3), world.id(2, 3)), world.join(world.id(2, 3), world.id(2, 4), 0.28125),
          world.touch(world.id(2, 1), world.id(2, 2), 0.125),
        ])
    ])
    return world
  }

  private func queue(_ world: Columns, _ arguments: String = "") throws -> [[String]] {
    try world.rows(
      """
      select kind, contact_a, contact_b, least(voxels_a, voxels_b), greatest(voxels_a, voxels_b)
      from review_queue_of('cortex'\(arguments)) order by rank
      """, 5)
  }

  private func item(_ kind: String, _ a: FragmentID, _ b: FragmentID, _ small: Int, _ large: Int) -> [String] {
    [kind, "\(a)", "\(b)", "\(small)", "\(large)"]
  }

  @Test func whatWouldChangeMostAndIsLeastSureComesFirst() throws {
    let world = try world()
    let (a, b, c, d) = (
      item("split", world.id(1, 1), world.id(1, 2), 60, 60), item("merge", world.id(2, 3), world.id(2, 4), 20, 40),
      item("merge", world.id(1, 1), world.id(2, 1), 20, 40), item("merge", world.id(1, 2), world.id(2, 2), 20, 40)
    )
    #expect(try queue(world) == [a, b, c, d])
    #expect(try queue(world, ", 2") == [a, b])
    #expect(try queue(world, ", threshold => 0.3") == [c, a, b, d])
    #expect(
      try queue(world, ", first_z => 1") == [
        item("split", world.id(1, 1), world.id(1, 2), 40, 40), b, item("merge", world.id(1, 1), world.id(2, 1), 20, 20),
        item("merge", world.id(1, 2), world.id(2, 2), 20, 20),
      ], "sizes are those within the sections")
    #expect(try queue(world, ", last_z => 1") == [item("split", world.id(1, 1), world.id(1, 2), 40, 40)])
    #expect(try queue(world, ", first_z => 7") == [])
    let figures = try world.stack.database.connection.execute(
      "select change_bits, doubt, priority, z, y, x, score, contact_area_px from review_queue where volume = 'cortex'")
    // Two halves of 60 of 200 pixels: 120 pixels become one bit each.
    #expect(try abs(figures.double(0, 0) - 0.6) < 1e-12 && figures.double(0, 1) == 1)
    #expect(try abs(figures.double(1, 1) - 0.535261428518990) < 1e-12, "e to the power of -(0.28125 - 0.25) / 0.05")
    #expect(try figures.double(1, 2) == figures.double(1, 0) * figures.double(1, 1))
    #expect(try figures.table(columns: 8)[1][3...] == ["2", "1.5", "42", "0.28125", "8"])
  }

  @Test func aBetterPathTakesTheDoubtAway() throws {
    let world = try world()
    try world.commit([
      world.section(
        2, 4,
        [
          world.join(world.id(1, 1), world.id(2, 1), 0.3), world.join(world.id(0, 1), world.id(2, 1), 0.875),
          world.join(world.id(2, 3), world.id(2, 4), 0.28125), world.join(world.id(1, 3), world.id(2, 4), 0.3125),
        ])
    ])
    #expect(
      try queue(world).filter { $0[0] == "merge" } == [
        item("merge", world.id(2, 3), world.id(2, 4), 20, 40), item("merge", world.id(1, 3), world.id(2, 4), 20, 20),
      ])
  }

  /// What the statements of the queue do, and that nothing that a person decided is asked again.
  @Test(arguments: ["if_wrong", "if_right"])
  func theStatementsAnswer(column: String) throws {
    let world = try world()
    let connection = world.stack.database.connection
    var asked: [[String]] = []
    while let next = try world.rows("select kind, fragment_a, fragment_b, \(column) from review_queue limit 1", 4).first
    {
      #expect(!asked.contains(next), "\(next)")
      asked.append(next)
      if asked.count > 20 { break }
      let before = try world.stack.membership()
      try connection.script(next[3])
      let (a, b) = (try #require(UInt64(next[1])), try #require(UInt64(next[2])))
      let after = try world.stack.membership()
      let isOne = after[FragmentID(rawValue: a)] == after[FragmentID(rawValue: b)]
      #expect(isOne == ((next[0] == "merge") == (column == "if_right")), "\(next)")
      if column == "if_right" { #expect(after == before) }
      try world.checkLineage()
    }
    #expect(asked.count >= 3)
    #expect(try world.rows("select from review_queue", 0).isEmpty)
  }

  @Test func anUndoneAnswerIsAskedAgain() throws {
    let world = try world()
    let before = try queue(world)
    let apart = try world.person.confirm(world.id(0, 1), world.id(2, 2))
    let together = try world.person.confirm(world.id(2, 3), world.id(2, 4))
    #expect(try world.person.corrections("separate") == [["\(world.id(0, 1))", "\(world.id(2, 2))"]])
    #expect(try world.person.corrections("join") == [["\(world.id(2, 3))", "\(world.id(2, 4))"]])
    #expect(try queue(world) == Array(before[2...]))
    #expect(
      try world.rows("select event from lineage where operation = 'confirm'", 1) == [], "no segment changed")
    // What was confirmed outlasts what comes later.
    try world.stack.receive(3, bytes: 9)
    let both = [world.join(world.id(2, 1), world.id(3, 1)), world.join(world.id(2, 2), world.id(3, 1))]
    try world.commit([world.section(3, 1, both)])
    #expect(try world.segment(world.id(0, 1)) != world.segment(world.id(0, 2)))
    #expect(try world.person.conflicts().map { $0[0] } == ["refused"])
    try world.commit([world.section(2, 4, [world.join(world.id(1, 3), world.id(2, 3))])])
    #expect(try world.segment(world.id(2, 4)) == world.id(1, 3))
    try world.checkLineage()
    for operation in [apart, together] { try world.person.undo(operation) }
    #expect(try world.person.conflicts() == [])
    #expect(try world.segment(world.id(2, 4)) == world.id(2, 4))
    try world.checkLineage()
    for operation in [together] { try world.person.redo(operation) }
    #expect(try world.segment(world.id(2, 4)) == world.id(1, 3))
    try world.checkLineage()
  }

  @Test func lockedSegmentsAreLeftOut() throws {
    let world = try world()
    try world.person.lock(world.id(0, 1))
    #expect(try queue(world).map { $0[2] } == ["\(world.id(2, 4))", "\(world.id(2, 2))"])
  }

  /// Against the definition, on random graphs: edges by falling score, components of what was taken before.
  @Test(arguments: [3, 4, 5] as [UInt64])
  func itIsWhatItsDefinitionSays(seed: UInt64) throws {
    let stack = try TestVolume()
    var world = World(looksAhead: false, seed: seed)
    for z in 0...7 as ClosedRange<SectionNumber> where z != 4 {
      world.revisions[z] = 0
      try stack.receive(z, bytes: Int(z) + 1)
      try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(z)])
    }
    let threshold: Float = 0.5
    var areas: [FragmentID: Int] = [:]
    for z in world.present { for fragment in world.fragments(z) { areas[fragment.id] = fragment.summary.area } }
    let edges = world.present.flatMap { world.edges($0) }
    let accepted = edges.filter(\.accepted).sorted { (-$0.score, $0.a, $0.b) < (-$1.score, $1.a, $1.b) }
    var piece = Dictionary(uniqueKeysWithValues: areas.keys.map { ($0, $0) })
    func size(_ name: FragmentID?) -> Int { areas.filter { piece[$0.key] == name }.values.reduce(0, +) }
    var expected = Set<[String]>()
    for edge in accepted where piece[edge.a] != piece[edge.b] {
      let (a, b) = (piece[edge.a], piece[edge.b])
      if abs(edge.score - threshold) <= 0.25 {
        expected.insert(item("merge", edge.a, edge.b, min(size(a), size(b)), max(size(a), size(b))))
      }
      for (id, name) in piece where name == b { piece[id] = a }
    }
    let open = edges.filter { !$0.accepted && abs($0.score - threshold) <= 0.25 && piece[$0.a] != piece[$0.b] }
    for (_, group) in Dictionary(grouping: open, by: { Set([piece[$0.a], piece[$0.b]]) }) {
      let best = group.sorted { (-$0.score, -$0.contactArea, $0.a, $0.b) < (-$1.score, -$1.contactArea, $1.a, $1.b) }[0]
      let sizes = [size(piece[best.a]), size(piece[best.b])].sorted()
      expected.insert(item("split", best.a, best.b, sizes[0], sizes[1]))
    }
    let rows = try stack.database.connection.execute(
      """
      select kind, contact_a, contact_b, least(voxels_a, voxels_b), greatest(voxels_a, voxels_b)
      from review_queue_of('cortex', 10000, threshold => 0.5)
      """
    ).table(columns: 5)
    #expect(rows.count == expected.count && Set(rows) == expected, "seed \(seed)")
    #expect(expected.count > 5)
  }

  @Test(arguments: [
    ("review_queue_of('nobody')", "no volume \"nobody\""),
    ("review_queue_of('cortex', 0)", "items: 0 is not at least 1"),
    ("review_queue_of('cortex', null)", "items: null is not at least 1"),
    ("review_queue_of('cortex', 5, 3, 2)", "first_z, last_z: 3 is above 2"),
    ("review_queue_of('cortex', 5, threshold => 1.5)", "threshold: 1.5 is not within 0 and 1"),
  ])
  func mistakesAreNamed(call: String, message: String) throws {
    let stack = try TestVolume()
    #expect(
      try stack.database.connection.execute("select * from review_queue").count == 0, "a volume without fragments")
    #expect(throws: DatabaseError.server(sqlstate: "22023", message: message)) {
      try stack.database.connection.execute("select * from \(call)")
    }
  }

  @Test func readersReadItAndProofreadersAnswer() throws {
    let world = try world()
    let connection = world.stack.database.connection
    try Access.makeRoles(connection)
    try Access.grant(connection, always: true)
    try connection.script("set role fgnet_reader")
    #expect(try queue(world).count == 4)
    let failure = #expect(throws: DatabaseError.self) { try world.person.confirm(world.id(2, 3), world.id(2, 4)) }
    #expect(failure?.sqlstate == "42501")
    try connection.script("reset role; set role fgnet_proofreader")
    try world.person.confirm(world.id(2, 3), world.id(2, 4))
    #expect(try queue(world).count == 3)
  }
}
