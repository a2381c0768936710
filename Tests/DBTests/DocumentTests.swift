import DB
import Domain
import Foundation
import Testing

/// The documents and the schema's own explanations.
@Suite struct DocumentTests {
  /// A stack in which every question has an answer: 20 sections, one of them revised, one missing, one still provisional.
  private func stack() throws -> TestVolume {
    let stack = try TestVolume()
    let record = stack.record
    var world = World(looksAhead: false, seed: 2)
    for z in 100...119 as ClosedRange<SectionNumber> {
      world.revisions[z] = 0
      try stack.receive(z, bytes: Int(z))
      try record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(z)])
    }
    let before = world
    world.revisions[105] = 1
    try stack.receive(105, bytes: 1105)
    try record.commitFinal(
      volume: stack.volume, run: stack.run, world.differences(from: before).map { world.commit($0) })
    try stack.receive(120, bytes: 120)
    let shown = World.fragments(120, 77)
    try record.commitProvisional(
      volume: stack.volume, run: stack.run,
      SectionCommit(z: 120, file: "p.h5", signature: "p", fragments: shown, edges: [], labels: World.tiles(77)))
    try record.declareMissing(volume: stack.volume, z: 121, run: stack.run)
    try stack.receive(122, bytes: 122)
    let failed = try #require(try record.section(stack.volume, z: 122))
    try record.setAside(
      volume: stack.volume, z: 122, sectionID: failed.id, reason: "stage mine: no answer", run: stack.run)
    try record.quarantine(path: "/scope/s122.tif", size: 1, mtimeNs: 1, reason: "cut short")
    try record.note(AlarmNote(kind: "disk", text: "no room", raisedAt: 1, endedAt: 9), source: "scope:/state")
    return stack
  }

  /// Statements of a document's SQL blocks.
  private func statements(_ name: String) throws -> [String] {
    let document = URL(filePath: #filePath).appending(path: "../../../\(name)").standardizedFileURL
    let text = try String(contentsOf: document, encoding: .utf8)
    let blocks = text.components(separatedBy: "```sql\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    return blocks.joined().components(separatedBy: ";\n").filter { !$0.allSatisfy(\.isWhitespace) }
  }

  @Test(arguments: [("docs/data-model.md", 23), ("README.md", 5)])
  func everyExampleGivesRows(document: String, count: Int) throws {
    let examples = try statements(document)
    #expect(examples.count == count)
    let connection = try stack().database.connection
    for example in examples {
      let result = try connection.execute(example)
      #expect(result.count > 0, "\(example)")
      if result.count == 1 { #expect(try result.optionalText(0, 0) != nil, "\(example)") }
    }
  }

  @Test func everythingIsExplained() throws {
    let connection = try TestDatabase().connection
    let silent = try connection.execute(
      """
      select c.relname, a.attname from pg_class c
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'fgnet'::regnamespace and c.relkind in ('r', 'v')
        and (obj_description(c.oid, 'pg_class') is null or col_description(c.oid, a.attnum) is null)
      union all
      select p.proname, 'function' from pg_proc p
      where p.pronamespace = 'fgnet'::regnamespace and obj_description(p.oid, 'pg_proc') is null
      """)
    #expect(try silent.table(columns: 2) == [])
    let told = try connection.execute(
      "select count(*) from pg_proc where pronamespace = 'fgnet'::regnamespace and proname = 'segment_at'")
    #expect(try told.int(0, 0) == 1)
  }

  /// What people build on; to remove or rename one of these is another version.
  @Test func theInterfaceIsWhatItsVersionSays() throws {
    let connection = try TestDatabase().connection
    #expect(try connection.execute("select api_version()").int(0, 0) == 1)
    let functions = try connection.execute(
      """
      select p.proname, pg_get_function_identity_arguments(p.oid) from pg_proc p
      where p.pronamespace = 'fgnet'::regnamespace and p.proname = any(string_to_array($1, ' ')) order by 1
      """,
      [
        .text(
          "segment_at segments_in neighbours ancestors descendants history segments_as_of segment_sections_as_of"
            + " sections_as_of lineage_as_of changes_since as_of review_queue_of")
      ])
    #expect(
      try functions.table(columns: 2) == [
        ["ancestors", "volume text, segment bigint, as_of bigint"],
        [
          "as_of",
          "volume text, section integer, at timestamp with time zone, run bigint, operation bigint",
        ],
        ["changes_since", "operation bigint, volume text"],
        ["descendants", "volume text, segment bigint, as_of bigint"],
        ["history", "volume text, segment bigint, as_of bigint"],
        ["lineage_as_of", "volume text, as_of bigint"],
        ["neighbours", "volume text, segment bigint, as_of bigint"],
        [
          "review_queue_of",
          "volume text, items integer, first_z integer, last_z integer, threshold double precision",
        ],
        ["sections_as_of", "volume text, as_of bigint"],
        ["segment_at", "volume text, z integer, y integer, x integer, as_of bigint"],
        ["segment_sections_as_of", "volume text, as_of bigint, segment bigint"],
        ["segments_as_of", "volume text, as_of bigint, segment bigint"],
        [
          "segments_in",
          "volume text, min_z integer, min_y integer, min_x integer, max_z integer, max_y integer, max_x integer,"
            + " as_of bigint",
        ],
      ])
  }
}
