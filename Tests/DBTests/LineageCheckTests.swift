import DB
import Domain
import Testing

@Suite struct LineageCheckTests {
  /// A stack with everything in it that is checked.
  private func edited() throws -> Columns {
    let world = try Columns()
    try world.person.merge(world.id(0, 1), world.id(0, 3))
    try world.person.split(world.id(0, 2), [world.id(1, 2)])
    try world.commit([world.section(2, 2, [world.join(world.id(1, 1), world.id(2, 1))])])
    return world
  }

  @Test func aSoundVolumeIsCounted() throws {
    let world = try edited()
    let report = try world.stack.record.checkLineage(volume: world.stack.volume)
    #expect(report.faults == [])
    #expect(report.fragments == 8 && report.edges == 3 && report.operations == 4)
    #expect(!world.stack.database.connection.isInTransaction)
  }

  @Test(arguments: [
    ("segments are the components of the region graph", "update region_edge set accepted = false where score = 0.75"),
    ("segments are the components of the region graph", "update region_edge set accepted = true where score = 0.25"),
    ("the events give every fragment its segment", "delete from lineage_event where event = 'merged'"),
    (
      "segments are the components of the region graph",
      "update fragment set segment_id = (select max(segment_id) from segment) where fragment_id = (select min(fragment_id) from fragment)"
    ),
    (
      "the events say which segments are live",
      "delete from lineage_event where event in ('born', 'grown', 'corrected')"
    ),
    ("the versions of segments give the segments", "update segment set born_operation_id = born_operation_id + 1"),
    ("the versions of segments give the segments", "delete from segment_change"),
    (
      "retired segments name live ones",
      "update segment set state = 'retired', retired_operation_id = 1 where segment_id in (select successor_id from segment)"
    ),
    ("the versions of fragments follow each other", "update fragment_history set until_operation_id = 99"),
    ("the versions of fragments follow each other", "update fragment set operation_id = 99"),
    ("corrections go back to operations of their kind", "update operation set kind = 'lock' where kind = 'merge'"),
    ("corrections stand on fragments that are there", "update correction set segment_a = 1"),
    (
      "corrections stand on fragments that are there",
      "update correction set fragment_b = fragment_b + 7 where decision = 'join'"
    ),
    (
      "what people separated is apart",
      "update correction set segment_b = segment_a where decision = 'separate'"
    ),
  ])
  func whatWasChangedBehindItsBackIsFound(check: String, statement: String) throws {
    let world = try edited()
    try world.stack.database.connection.script("set session_replication_role = replica; \(statement)")
    let faults = try world.stack.record.checkLineage(volume: world.stack.volume).faults
    #expect(faults.map(\.check).contains(check), "\(faults)")
    #expect(faults.allSatisfy { $0.count > 0 && !$0.example.isEmpty })
  }

  @Test(arguments: [
    "delete from operation", "update operation set reason = 'x'", "truncate operation cascade",
    "delete from lineage_event", "update lineage_event set z = 0", "update segment_change set state = 'live'",
    "delete from correction", "delete from conflict", "delete from segment",
  ])
  func logsAreOnlyAppendedTo(statement: String) throws {
    let world = try edited()
    let failure = #expect(throws: DatabaseError.self) { try world.stack.database.connection.script(statement) }
    #expect(failure?.sqlstate == "55000")
    #expect(failure?.description.contains("are never changed or removed") == true)
    let outside = #expect(throws: DatabaseError.self) {
      try world.stack.database.connection.script("update segment set born_operation_id = 1")
    }
    #expect(outside?.description.contains("rows of segment change in operations only") == true)
    try world.checkLineage()
  }
}
