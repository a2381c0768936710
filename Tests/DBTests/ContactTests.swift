import DB
import Domain
import Testing

/// Contacts summed up by blocks: `neighbours` gives what the edges give, whatever happened since.
@Suite struct ContactTests {
  /// A row of `neighbours` for every live segment.
  private struct Row: Equatable, CustomStringConvertible {
    var key: [String]
    var mean: Double?
    var description: String { "\(key) \(mean.map { "\($0)" } ?? "-")" }
    static func == (left: Row, right: Row) -> Bool {
      left.key == right.key && abs((left.mean ?? -1) - (right.mean ?? -1)) < 1e-9
    }
  }

  private func rows(_ connection: Connection) throws -> [Row] {
    try connection.execute(
      """
      select s.segment_id, n.segment_id, n.contact_area_px, n.contacts, n.best_score, n.mean_affinity
      from segment s cross join lateral neighbours('cortex', s.segment_id) n where s.state = 'live' order by 1, 3 desc, 2
      """
    ).table(columns: 6).map { Row(key: Array($0[..<5]), mean: Double($0[5])) }
  }

  /// The same questions, with and without the summaries.
  private func compare(_ stack: TestVolume, _ words: String) throws {
    let connection = stack.database.connection
    let found = try rows(connection)
    try connection.script("begin; delete from contact_block")
    let plain = try rows(connection)
    try connection.script("rollback")
    #expect(found == plain, "\(words)")
  }

  private func blocks(_ stack: TestVolume) throws -> [Int] {
    let rows = try stack.database.connection.execute(
      "select block from contact_block where is_complete order by block")
    return try (0..<rows.count).map { Int(try rows.int($0, 0)) }
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func summariesChangeNoAnswer(seed: UInt64) throws {
    var history = try CorrectedHistory(seed: seed, apart: [7, 11, 13, 40][Int(seed % 4)])
    var generator = SeededGenerator(seed: seed)
    var (kept, void) = (0, 0)
    for step in 0..<20 {
      let before = try blocks(history.stack).count
      try history.step()
      let after = try blocks(history.stack).count
      (kept, void) = (kept + after, void + before - after)
      try compare(history.stack, "seed \(seed), step \(step)")
      for block in 0...8 where Int.random(in: 0..<3, using: &generator) > 0 {
        #expect(
          try history.stack.record.summariseContacts(volume: history.stack.volume, block: block) == .done(block: block))
      }
      try compare(history.stack, "seed \(seed), step \(step), summed up")
    }
    #expect(kept > 0 && void > 0, "some changes leave summaries as they are, others do not")
    #expect(try history.stack.record.checkLineage(volume: history.stack.volume).faults == [])
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func revisionsAndLateSectionsAreFollowed(seed: UInt64) throws {
    var history = try History(seed: seed, apart: [9, 16, 33][Int(seed % 3)])
    for step in 0..<10 {
      try history.step()
      try compare(history.volume, "seed \(seed), step \(step)")
      for block in -3...6 where (block + step) % 3 > 0 {
        try history.volume.record.summariseContacts(volume: history.volume.volume, block: block)
      }
      try compare(history.volume, "seed \(seed), step \(step), summed up")
    }
  }

  /// Columns of two fragments in sections 0, 10, ... 100; the columns touch each other in every section.
  private func columns() throws -> TestVolume {
    let stack = try TestVolume()
    for z in stride(from: 0, through: 100, by: 10) as StrideThrough<SectionNumber> { try add(z, to: stack) }
    return stack
  }

  private func id(_ z: SectionNumber, _ label: UInt32) -> FragmentID { FragmentID(z: z, signature: 5, label: label) }

  private func add(_ z: SectionNumber, to stack: TestVolume, below: SectionNumber = 10) throws {
    try stack.receive(z, bytes: Int(z) + 1)
    func edge(_ a: FragmentID, _ b: FragmentID, _ accepted: Bool) -> EdgeRow {
      EdgeRow(a: a, b: b, contactArea: 10, meanAffinity: 0.5, score: accepted ? 0.9 : 0.1, accepted: accepted)
    }
    var edges = [edge(id(z, 1), id(z, 2), false)]
    if z > 0 { for label in [1, 2] as [UInt32] { edges.append(edge(id(z - below, label), id(z, label), true)) } }
    let summaries = [1, 2].map {
      FragmentSummary(label: $0, area: 9, minY: 0, minX: 0, maxY: 3, maxX: 3, centroidY: 1, centroidX: 1)
    }
    try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [
        SectionCommit(
          z: z, file: "f", signature: "s", fragments: summaries.map { ($0, id(z, $0.label)) }, edges: edges)
      ])
  }

  private func fill(_ stack: TestVolume) throws {
    while case .done = try stack.record.summariseContacts(volume: stack.volume) {}
  }

  @Test func aBlockIsSummedUpWhenNothingIsToComeToIt() throws {
    let stack = try columns()
    try fill(stack)
    #expect(try blocks(stack) == [0, 1, 2])
    // A section above leaves them as they are, one in block 3 too, until block 4 has begun.
    try add(110, to: stack)
    try fill(stack)
    #expect(try blocks(stack) == [0, 1, 2])
    try stack.receive(50, bytes: 777)
    try add(120, to: stack)
    try add(130, to: stack)
    #expect(try blocks(stack) == [0, 1, 2])
    try fill(stack)
    #expect(try blocks(stack) == [0, 1, 2, 3], "though section 50 is to be segmented again, block 1 still counts")
    try stack.database.connection.script("delete from contact_block where block = 1")
    try fill(stack)
    #expect(try blocks(stack) == [0, 2, 3], "block 1 waits for section 50")
    try stack.record.setFinished(volume: stack.volume, lastZ: 130)
    try fill(stack)
    #expect(try blocks(stack) == [0, 2, 3, 4])
    try compare(stack, "a finished volume")
  }

  @Test func whatIsNotConcernedStaysSummedUp() throws {
    let stack = try columns()
    let person = Proofreader(stack.database.connection)
    try fill(stack)
    let merge = try person.merge(id(0, 1), id(0, 2))
    #expect(try blocks(stack) == [0, 1, 2], "a merge concerns none")
    try compare(stack, "merged")
    try person.undo(merge)
    #expect(try blocks(stack) == [0, 1, 2])
    // Fragments from section 70 on get another name; 70 touches 60, in block 1, and 90 touches 100.
    try person.split(id(0, 1), between: id(60, 1), id(70, 1))
    #expect(try blocks(stack) == [0])
    try compare(stack, "split")
    try fill(stack)
    #expect(try blocks(stack) == [0, 1, 2])
    try compare(stack, "split, summed up")
    try stack.record.setAside(
      volume: stack.volume, z: 10, sectionID: try #require(try stack.record.section(stack.volume, z: 10)).id,
      reason: "test", run: stack.run)
    #expect(try blocks(stack).contains(0) == false)
    try compare(stack, "set aside")
    let left = try stack.database.connection.execute(
      "select from segment_contact c where not exists (select from contact_block b where b.version = c.version)")
    #expect(left.count > 0, "rows that do not count stay until the block is summed up again")
    try fill(stack)
    #expect(try stack.record.checkLineage(volume: stack.volume).faults == [])
  }

  /// Changes beside it, in every order.
  @Test func whatIsChangedMeanwhileDoesNotCount() throws {
    let stack = try columns()
    let mine = stack.database.connection
    let theirs = try Connection(stack.database.conninfo)
    let person = Proofreader(theirs)
    try theirs.script("begin")
    try person.split(id(0, 1), between: id(20, 1), id(30, 1))
    #expect(try stack.record.summariseContacts(volume: stack.volume, block: 0) == .busy(block: 0))
    try theirs.script("commit")

    func begin() throws -> Int64 { try mine.execute("select begin_contacts(1, 0)").int(0, 0) }
    func finish(_ version: Int64) throws -> Bool {
      try mine.execute("select summarise_contacts(1, 0, $1::integer)", [.int(version)]).bool(0, 0)
    }
    // It begins, and they change something before it reads.
    var version = try begin()
    try person.split(id(0, 2), between: id(0, 2), id(10, 2))
    #expect(try !finish(version))
    // It reads, and they change something before it ends: they wait for it, and void it.
    version = try begin()
    try mine.script("begin")
    #expect(try finish(version))
    try theirs.script("set lock_timeout to '200ms'")
    let failure = #expect(throws: DatabaseError.self) {
      try person.split(id(10, 2), between: id(10, 2), id(20, 2))
    }
    #expect(failure?.sqlstate == "55P03")
    try mine.script("commit")
    #expect(try blocks(stack) == [0])
    try person.split(id(10, 2), between: id(10, 2), id(20, 2))
    #expect(try blocks(stack) == [])
    // What was begun and never ended does not count, and is no hindrance.
    _ = try begin()
    #expect(try blocks(stack) == [])
    try compare(stack, "begun only")
    #expect(try stack.record.summariseContacts(volume: stack.volume, block: 0) == .done(block: 0))
    try compare(stack, "summed up")
  }

  /// The daemon sums up without any right to the schema; a reader reads, where the volume is open to it.
  @Test func rolesMayWhatTheyNeed() throws {
    let stack = try columns()
    let connection = stack.database.connection
    try Access.makeRoles(connection)
    try Access.grant(connection, always: true)
    try connection.script("set role fgnet_daemon")
    try fill(stack)
    #expect(try blocks(stack) == [0, 1, 2])
    try connection.script("set role fgnet_reader")
    #expect(try !rows(connection).isEmpty)
    let failure = #expect(throws: DatabaseError.self) { try connection.execute("select begin_contacts(1, 0)") }
    #expect(failure?.sqlstate == "42501")
    try connection.script("reset role; insert into volume_access values (1, 'fgnet_administrator')")
    try connection.script("set role fgnet_reader")
    #expect(try blocks(stack) == [])
    #expect(try connection.execute("select from segment_contact").count == 0)
    try connection.script("reset role")
  }

  @Test func contactsChangedBehindItsBackAreFound() throws {
    let stack = try columns()
    try fill(stack)
    #expect(try stack.record.checkLineage(volume: stack.volume).faults == [])
    for statement in [
      "update segment_contact set contact_area_px = 11 where block = 1",
      "update segment_contact set affinity_area = affinity_area * 1.001",
      "delete from segment_contact where block = 0", "update region_edge set score = 0.2 where z = 50 and score < 0.5",
    ] {
      let connection = stack.database.connection
      try connection.script("set session_replication_role = replica; \(statement)")
      let faults = try stack.record.checkLineage(volume: stack.volume).faults
      #expect(faults.map(\.check) == ["the contacts of blocks are those of their edges"], "\(statement): \(faults)")
      try connection.script("delete from contact_block; set session_replication_role = origin")
      try fill(stack)
      #expect(try stack.record.checkLineage(volume: stack.volume).faults == [])
    }
  }
}
