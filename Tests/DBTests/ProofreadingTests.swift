import DB
import Domain
import Foundation
import Testing

/// A stack of two columns, and what people do to it.
struct Columns {
  let stack: TestVolume
  let person: Proofreader

  /// Sections 0 and 1 with fragments 1, 2 (and 3, alone) each; 1 and 2 are continued.
  init() throws {
    stack = try TestVolume()
    person = Proofreader(stack.database.connection)
    for z in 0...2 as ClosedRange<SectionNumber> { try stack.receive(z, bytes: Int(z) + 1) }
    try commit([
      section(0, 3, []),
      section(1, 3, [join(id(0, 1), id(1, 1)), join(id(0, 2), id(1, 2)), touch(id(1, 1), id(1, 2))]),
    ])
  }

  func id(_ z: SectionNumber, _ label: UInt32, _ signature: UInt32 = 3) -> FragmentID {
    FragmentID(z: z, signature: signature, label: label)
  }

  func join(_ a: FragmentID, _ b: FragmentID, _ score: Float = 0.75) -> EdgeRow {
    EdgeRow(a: min(a, b), b: max(a, b), contactArea: 8, meanAffinity: 0.5, score: score, accepted: true)
  }

  func touch(_ a: FragmentID, _ b: FragmentID, _ score: Float = 0.25) -> EdgeRow {
    EdgeRow(a: min(a, b), b: max(a, b), contactArea: 4, meanAffinity: 0.125, score: score, accepted: false)
  }

  func section(
    _ z: SectionNumber, _ count: UInt32, _ edges: [EdgeRow], signature: UInt32 = 3, replaced: [ReplacedOverlap] = []
  ) -> SectionCommit {
    let fragments = (1...count).map { label in
      let x = Int32(10 * label)
      let summary = FragmentSummary(
        label: label, area: 20, minY: 0, minX: x, maxY: 4, maxX: x + 5, centroidY: 1.5, centroidX: Double(x) + 2)
      return (summary: summary, id: id(z, label, signature))
    }
    return SectionCommit(
      z: z, file: "z\(z).h5", signature: "s\(signature)", fragments: fragments, edges: edges, replaced: replaced,
      labels: tiles(count))
  }

  /// Fragments of 4 rows of 5 pixels, and none between them.
  private func tiles(_ count: UInt32) -> LabelTiles {
    var labels = [UInt32](repeating: 0, count: World.side * World.side)
    for label in 1...count {
      for place in 0..<20 { labels[place / 5 * World.side + Int(10 * label) + place % 5] = label }
    }
    var tiles = LabelTiles(width: World.side)
    tiles.append(labels)
    return tiles
  }

  @discardableResult
  func commit(_ sections: [SectionCommit]) throws(DatabaseError) -> CommitOutcome {
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, sections)
  }

  /// 1 and 2 become one in section 2, over a bridge that is weaker than the columns.
  func addBridge() throws {
    let bridge = EdgeRow(
      a: id(2, 1), b: id(2, 2), contactArea: 2, meanAffinity: 0.5, score: 0.5, accepted: true)
    try commit([section(2, 2, [join(id(1, 1), id(2, 1)), join(id(1, 2), id(2, 2)), bridge])])
  }

  func segment(_ fragment: FragmentID) throws -> FragmentID? {
    try stack.membership()[fragment].map { FragmentID(rawValue: $0.rawValue) }
  }

  func rows(_ sql: String, _ columns: Int) throws -> [[String]] {
    try stack.database.connection.execute(sql).table(columns: columns)
  }

  /// Whether the log and the tables agree.
  func checkLineage() throws {
    #expect(try stack.record.checkLineage(volume: stack.volume).faults == [])
  }
}

@Suite struct ProofreadingTests {
  /// The examples of docs/proofreading.md are statements that run, in their order.
  @Test func theDocumentedExamplesCanBeRun() throws {
    let document = URL(filePath: #filePath).appending(path: "../../../docs/proofreading.md").standardizedFileURL
    let text = try String(contentsOf: document, encoding: .utf8)
    let blocks = text.components(separatedBy: "```sql\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    #expect(blocks.count == 11)
    let world = try Columns()
    try world.addBridge()
    for block in blocks { try world.stack.database.connection.script(block) }
    #expect(try world.rows("select note from annotations", 1) == [["pyramidal cell, layer 5"]])
    let edits = try world.rows("select kind from operation where reason is not null order by operation_id", 1)
    #expect(
      edits.flatMap { $0 } == ["merge", "split", "split", "split", "undo", "redo", "confirm", "lock", "annotate"])
    try world.checkLineage()
  }

  @Test func aMergeIsAnOperationWithActorReasonAndLineage() throws {
    let world = try Columns()
    let before = try world.stack.record.lastOperation(volume: world.stack.volume) ?? 0
    let merged = try world.stack.database.connection.execute(
      "select merge('cortex', $1, $2, 'same neurite', 'Ada')", [.id(world.id(0, 2)), .id(world.id(0, 1))]
    ).int(0, 0)
    #expect(merged > before)
    for label in 1...2 as ClosedRange<UInt32> { #expect(try world.segment(world.id(1, label)) == world.id(0, 1)) }
    #expect(
      try world.rows(
        "select kind, first_z, z, actor, reason, database_user = session_user from operation where kind = 'merge'", 6)
        == [["merge", "1", "1", "Ada", "same neurite", "t"]])
    #expect(
      try world.rows(
        """
        select event, segment_id, other_segment_id, z, cause_fragment_a, cause_fragment_b, score from lineage
        where operation = 'merge' order by lineage_id
        """, 7) == [
          [
            "merged", "\(world.id(0, 1))", "\(world.id(0, 2))", "1", "\(world.id(1, 1))", "\(world.id(1, 2))", "0.25",
          ],
          ["corrected", "\(world.id(0, 1))", "-", "1", "\(world.id(1, 1))", "\(world.id(1, 2))", "0.25"],
        ])
    #expect(try world.stack.membership(asOf: before)[world.id(1, 2)]?.rawValue == world.id(0, 2).rawValue)
    #expect(try world.stack.membership(asOf: merged)[world.id(1, 2)]?.rawValue == world.id(0, 1).rawValue)
    try world.checkLineage()
  }

  @Test func segmentsThatDoNotTouchAreJoinedWhereTheyAreNearest() throws {
    let world = try Columns()
    try world.person.merge(world.id(0, 1), world.id(0, 3))
    #expect(try world.person.corrections("join") == [["\(world.id(0, 1))", "\(world.id(0, 3))"]])
    try world.person.merge(world.id(0, 1), world.id(1, 3))
    #expect(
      try world.person.corrections("join")[1] == ["\(world.id(1, 1))", "\(world.id(1, 3))"], "in the same section")
    try world.checkLineage()
  }

  @Test func aMergeLastsWhateverComesLater() throws {
    let world = try Columns()
    try world.person.merge(world.id(0, 1), world.id(0, 3))
    try world.commit([world.section(2, 2, [world.join(world.id(1, 1), world.id(2, 1))])])
    #expect(try world.segment(world.id(0, 3)) == world.id(0, 1))
    #expect(try world.segment(world.id(2, 1)) == world.id(0, 1))
    // The sections are decided again, as after a late section, with the same fragments.
    try world.commit([world.section(0, 3, []), world.section(1, 3, [world.join(world.id(0, 1), world.id(1, 1))])])
    #expect(try world.segment(world.id(0, 3)) == world.id(0, 1))
    try world.checkLineage()
  }

  @Test func fragmentsAreSplitOffAndStayApart() throws {
    let world = try Columns()
    let split = try world.person.split(world.id(0, 1), [world.id(1, 1)])
    #expect(try world.segment(world.id(1, 1)) == world.id(1, 1))
    #expect(
      try world.rows(
        "select event, segment_id, other_segment_id from lineage where operation_id = \(split) order by lineage_id", 3)
        == [
          ["corrected", "\(world.id(0, 1))", "-"], ["split", "\(world.id(0, 1))", "\(world.id(1, 1))"],
          ["corrected", "\(world.id(1, 1))", "-"],
        ])
    // A section above joins the part to the other column.
    try world.commit([
      world.section(
        2, 1, [world.join(world.id(1, 1), world.id(2, 1), 0.5), world.join(world.id(1, 2), world.id(2, 1), 0.875)])
    ])
    #expect(try world.segment(world.id(2, 1)) == world.id(0, 2))
    #expect(try world.person.conflicts() == [], "1 and 2 were never said to be apart")
    try world.checkLineage()
  }

  @Test func anEdgeThatWouldBreakASplitIsRefusedAndReported() throws {
    let world = try Columns()
    let split = try world.person.split(world.id(0, 1), between: world.id(1, 1), world.id(0, 1))
    let edges = [world.join(world.id(0, 1), world.id(2, 1), 0.625), world.join(world.id(1, 1), world.id(2, 1), 0.875)]
    try world.commit([world.section(2, 1, edges)])
    #expect(try world.segment(world.id(2, 1)) == world.id(1, 1), "the better edge counts")
    #expect(try world.segment(world.id(0, 1)) == world.id(0, 1))
    let refused = ["refused", "\(world.id(0, 1))", "\(world.id(2, 1))"]
    #expect(try world.person.conflicts() == [refused])
    #expect(
      try world.rows("select description, actor = session_user from conflicts", 2) == [
        [
          "edge \(world.id(0, 1)) - \(world.id(2, 1)) (score 0.625) was accepted but not taken: it would break the split of "
            + "operation \(split)", "t",
        ]
      ])
    try world.commit([world.section(2, 1, edges)])
    #expect(try world.person.conflicts() == [refused], "reported once")
    try world.checkLineage()

    try world.person.undo(split)
    #expect(try Set(world.stack.membership().filter { $0.key.label == 1 }.values).count == 1, "all edges count again")
    #expect(try world.person.conflicts() == [])
    try world.checkLineage()
    try world.person.redo(split)
    #expect(try world.segment(world.id(1, 1)) == world.id(1, 1))
    #expect(try world.segment(world.id(2, 1)) == world.id(1, 1))
    try world.checkLineage()
  }

  @Test func aSplitBetweenTwoPointsCutsWhereLeastIsInContact() throws {
    let world = try Columns()
    try world.addBridge()
    #expect(try world.segment(world.id(0, 2)) == world.id(0, 1))
    let connection = world.stack.database.connection
    try connection.execute(
      "select split('cortex', $1, array[0, 1, 12], array[0, 1, 22], 'two neurites')", [.id(world.id(0, 1))])
    #expect(try world.person.corrections("separate") == [["\(world.id(2, 1))", "\(world.id(2, 2))"]])
    for z in 0...2 as ClosedRange<SectionNumber> {
      #expect(try world.segment(world.id(z, 1)) == world.id(0, 1))
      #expect(try world.segment(world.id(z, 2)) == world.id(0, 2))
    }
    try world.checkLineage()
    // A merge is the newer decision.
    let merged = try world.person.merge(world.id(0, 1), world.id(0, 2))
    #expect(try world.person.corrections("separate") == [])
    #expect(try world.segment(world.id(2, 2)) == world.id(0, 1))
    try world.person.undo(merged)
    #expect(try world.segment(world.id(2, 2)) == world.id(0, 2), "the split is in force again")
    try world.checkLineage()
  }

  @Test func aLockedSegmentGrowsAndJoinsNothing() throws {
    let world = try Columns()
    let lock = try world.person.lock(world.id(0, 1))
    let edges = [world.join(world.id(1, 1), world.id(2, 1), 0.875), world.join(world.id(1, 2), world.id(2, 1), 0.5)]
    try world.commit([world.section(2, 1, edges)])
    #expect(try world.segment(world.id(2, 1)) == world.id(0, 1))
    #expect(try world.segment(world.id(1, 2)) == world.id(0, 2))
    #expect(try world.person.conflicts() == [["refused", "\(world.id(1, 2))", "\(world.id(2, 1))"]])
    let failure = #expect(throws: DatabaseError.self) { try world.person.merge(world.id(0, 2), world.id(0, 1)) }
    #expect(failure?.sqlstate == "55006")
    #expect(failure?.description.contains("b: segment \(world.id(0, 1)) is locked by") == true)
    try world.person.undo(lock)
    #expect(try world.segment(world.id(1, 2)) == world.id(0, 1), "what was refused because of it counts")
    #expect(try world.person.conflicts() == [])
    try world.checkLineage()
  }

  @Test func aRevisionThatTakesALockedSegmentApartIsReported() throws {
    let world = try Columns()
    try world.person.lock(world.id(0, 1))
    try world.commit([world.section(0, 3, []), world.section(1, 3, [])])
    #expect(try world.segment(world.id(1, 1)) == world.id(1, 1))
    #expect(try world.person.conflicts() == [["locked_split", "\(world.id(1, 1))", "-"]])
    let conflict = try world.rows("select conflict_id from conflicts", 1)[0][0]
    try world.stack.database.connection.execute("select resolve($1, 'it is right')", [.text(conflict)])
    #expect(try world.person.conflicts() == [])
    try world.checkLineage()
  }

  @Test func correctionsFollowFragmentsThatAreReplaced() throws {
    let world = try Columns()
    try world.person.merge(world.id(0, 1), world.id(0, 3))
    try world.person.split(world.id(0, 2), [world.id(1, 2)])
    try world.person.annotate(world.id(0, 2), "axon")
    try world.stack.receive(0, bytes: 77)
    let replaced = [
      ReplacedOverlap(old: world.id(0, 1), new: world.id(0, 2, 5), pixels: 15),
      ReplacedOverlap(old: world.id(0, 1), new: world.id(0, 1, 5), pixels: 5),
      ReplacedOverlap(old: world.id(0, 2), new: world.id(0, 3, 5), pixels: 15),
      ReplacedOverlap(old: world.id(0, 3), new: world.id(0, 1, 5), pixels: 9),
    ]
    try world.commit([
      world.section(0, 3, [], signature: 5, replaced: replaced),
      world.section(
        1, 3, [world.join(world.id(0, 2, 5), world.id(1, 1)), world.join(world.id(0, 3, 5), world.id(1, 2))]),
    ])
    #expect(try world.person.corrections("join") == [["\(world.id(0, 1, 5))", "\(world.id(0, 2, 5))"]])
    #expect(try world.segment(world.id(1, 1)) == world.id(0, 1, 5))
    #expect(try world.person.corrections("separate") == [["\(world.id(0, 3, 5))", "\(world.id(1, 2))"]])
    #expect(try world.segment(world.id(1, 2)) == world.id(1, 2), "the new edge is between what was separated")
    #expect(try world.rows("select segment_id, note from annotations", 2) == [["\(world.id(0, 3, 5))", "axon"]])
    #expect(try world.person.conflicts() == [])
    try world.checkLineage()
  }

  @Test func correctionsWithoutAHeirEndWithAConflict() throws {
    let world = try Columns()
    let merge = try world.person.merge(world.id(0, 1), world.id(0, 3))
    let lock = try world.person.lock(world.id(0, 2))
    try world.stack.receive(0, bytes: 77)
    try world.commit([world.section(0, 3, [], signature: 5), world.section(1, 3, [])])
    #expect(try world.person.corrections("join") == [])
    #expect(try world.person.corrections("lock") == [["\(world.id(1, 2))", "-"]], "what is left of it stays locked")
    #expect(try world.person.conflicts() == [["lost", "\(world.id(0, 1))", "-"]])
    let failure = #expect(throws: DatabaseError.self) { try world.person.undo(merge) }
    #expect(failure?.description.contains("operation: nothing of operation \(merge) is left to undo") == true)
    try world.person.undo(lock)
    try world.checkLineage()
  }

  @Test func aWrongArgumentIsNamed() throws {
    let world = try Columns()
    let (a, b, c) = (world.id(0, 1), world.id(0, 2), world.id(0, 3))
    let merge = try world.person.merge(a, c)
    let section = merge - 1
    let cases: [(call: String, sqlstate: String, message: String)] = [
      ("merge('brain', \(a), \(b), 'x')", "22023", "volume: there is no volume 'brain'"),
      ("merge('cortex', \(a), 7, 'x')", "22023", "b: there is no segment 7 in this volume"),
      ("merge('cortex', \(c), \(b), 'x')", "55000", "a: segment \(c) is retired, it is part of segment \(a) now"),
      ("merge('cortex', \(a), \(a), 'x')", "22023", "a, b: \(a) is one segment"),
      ("merge('cortex', \(a), \(b), ' ')", "22023", "reason: say why"),
      ("annotate('cortex', \(a), null)", "22023", "note: say why"),
      ("split('cortex', \(a), array[\(b)], 'x')", "22023", "fragments: \(b) is not a final fragment of segment \(a)"),
      ("split('cortex', \(b), '{}'::bigint[], 'x')", "22023", "fragments: name at least one"),
      (
        "split('cortex', \(b), array[\(b), \(world.id(1, 2))], 'x')", "22023",
        "fragments: these are all of segment \(b), nothing would be left of it"
      ),
      (
        "split('cortex', \(b), \(b), \(a), 'x')", "22023", "fragment_b: \(a) is not a final fragment of segment \(b)"
      ),
      ("split('cortex', \(b), \(b), \(b), 'x')", "22023", "fragment_a, fragment_b: \(b) is one fragment"),
      (
        "split('cortex', \(b), array[0, 1, 1], array[1, 1, 22], 'x')", "22023",
        "point_a: z 0, y 1, x 1 is on a border, where no fragment is"
      ),
      (
        "split('cortex', \(b), array[1, 1, 22], array[0, 1, 14], 'x')", "22023",
        "point_b: z 0, y 1, x 14 is of segment \(a), not of segment \(b)"
      ),
      (
        "split('cortex', \(b), array[1, 1, 22], array[0, 1, 128], 'x')", "22023",
        "point_b: z 0, y 1, x 128 is outside of the volume"
      ),
      (
        "split('cortex', \(b), array[1, 1, 22], array[0, -1, 0], 'x')", "22023",
        "point_b: z 0, y -1, x 0 is outside of the volume"
      ),
      (
        "split('cortex', \(b), array[7, 1, 22], array[0, 1, 22], 'x')", "22023",
        "point_a: section 7 has no final fragments"
      ),
      (
        "split('cortex', \(b), array[0, 1], array[1, 1, 22], 'x')", "22023", "point_a: give a point as array[z, y, x]"
      ),
      ("confirm('cortex', 7, \(b), 'x')", "22023", "fragment_a: there is no final fragment 7 in this volume"),
      ("confirm('cortex', \(b), null, 'x')", "22023", "fragment_b: there is no final fragment null in this volume"),
      ("confirm('cortex', \(b), \(b), 'x')", "22023", "fragment_a, fragment_b: \(b) is one fragment"),
      ("confirm('cortex', \(a), \(b), null)", "22023", "reason: say why"),
      ("undo(0, 'x')", "22023", "operation: there is no operation 0"),
      (
        "undo(\(section), 'x')", "22023",
        "operation: \(section) is a section_final; only merge, split, confirm, lock and annotate can be undone"
      ),
      ("redo(\(merge), 'x')", "55000", "operation: \(merge) is not undone"),
      ("resolve(1, 'x')", "22023", "conflict_id: there is no conflict 1"),
    ]
    let connection = world.stack.database.connection
    for (call, sqlstate, message) in cases {
      #expect(throws: DatabaseError.server(sqlstate: sqlstate, message: message), "\(call)") {
        try connection.execute("select \(call)")
      }
    }
    let undo = try world.person.undo(merge)
    #expect(
      throws: DatabaseError.server(
        sqlstate: "55000", message: "operation: \(merge) is undone already (operation \(undo))")
    ) { try world.person.undo(merge) }
    #expect(
      throws: DatabaseError.server(
        sqlstate: "22023", message: "operation: \(undo) is the undo of operation \(merge): name that one")
    ) { try world.person.redo(undo) }
    try connection.script("begin isolation level repeatable read")
    let failure = #expect(throws: DatabaseError.self) { try world.person.merge(a, b) }
    #expect(failure?.sqlstate == "25001", "a snapshot from before the lock would be edited")
    try connection.script("rollback")
    try world.checkLineage()
  }
}
