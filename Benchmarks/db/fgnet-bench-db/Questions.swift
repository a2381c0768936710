import DB
import Domain

/// Questions that people ask, timed from the statement to the last row received.
struct Questions {
  let connection: Connection
  let shape: Shape
  /// The segment that is asked about, and how many events are behind it.
  let segment: Int64
  let events: Int64
  private let largest: Int64
  private let width: Int
  private let height: Int
  private let lastOperation: Int64

  init(_ connection: Connection, _ sections: NewSections) throws {
    self.connection = connection
    shape = sections.shape
    width = sections.patterns[0].width
    height = sections.patterns[0].height
    let picked = try connection.execute("select segment_id from picked.segment order by name = 'largest'")
    segment = try picked.int(0, 0)
    largest = try picked.int(picked.count - 1, 0)
    events = try connection.execute("select count(*) from history('cortex', $1)", [.int(segment)]).int(0, 0)
    lastOperation = try connection.execute("select max(operation_id) from operation").int(0, 0)
  }

  func ask(_ report: inout Report) throws {
    // As a person does: with the rights of a reader, rows guarded by volume.
    try connection.script("set role fgnet_reader")
    var generator = SeededGenerator(seed: 1)
    try points(&report, &generator)
    let facts = try connection.execute(
      "select fragments, sections from segments where volume = 'cortex' and segment_id = $1", [.int(segment)])
    report.add(
      "the segment below: events behind it, fragments, sections",
      "\(events), \(try facts.int(0, 0)), \(try facts.int(0, 1))")
    for name in ["ancestors", "history", "neighbours"] {
      var times = Times()
      for _ in 0..<9 { try times.measure { try connection.execute(Self.whole(name), [.int(segment)]) } }
      report.add("`\(name)`", times, limit: 50)
    }
    try past(&report, &generator)
    var times = Times()
    for _ in 0..<5 {
      try times.measure {
        try connection.execute("select * from segments where volume = 'cortex' and segment_id = $1", [.int(segment)])
      }
    }
    report.add("`segments`, that one now", times.text)
    let count = try connection.execute("select count(*) from history('cortex', $1)", [.int(largest)]).int(0, 0)
    for name in ["history", "neighbours"] {
      var times = Times()
      for _ in 0..<3 { try times.measure { try connection.execute(Self.whole(name), [.int(largest)]) } }
      report.add("`\(name)` of the largest segment, \(count) events", times.text)
    }
    try connection.script("reset role")
  }

  private static func whole(_ name: String) -> String {
    switch name {
    case "ancestors": "select * from ancestors('cortex', $1)"
    case "history": "select * from history('cortex', $1)"
    default: "select * from neighbours('cortex', $1)"
    }
  }

  private func points(_ report: inout Report, _ generator: inout SeededGenerator) throws {
    var now = Times()
    var then = Times()
    for _ in 0..<500 {
      let (z, y, x) = (
        Int.random(in: 0..<shape.sections, using: &generator), Int.random(in: 0..<height, using: &generator),
        Int.random(in: 0..<width, using: &generator)
      )
      try now.measure {
        try connection.execute("select segment_at('cortex', $1, $2, $3)", [.int(z), .int(y), .int(x)])
      }
      let moment = Int64.random(in: 1...lastOperation, using: &generator)
      try then.measure {
        try connection.execute(
          "select segment_at('cortex', $1, $2, $3, $4)", [.int(z), .int(y), .int(x), .int(moment)])
      }
    }
    report.add("`segment_at`, random points", now, limit: 2)
    report.add("`segment_at`, random points at random moments", then, limit: 2)
  }

  /// The summary of the segment after operations from its birth to now.
  private func past(_ report: inout Report, _ generator: inout SeededGenerator) throws {
    let born = try connection.execute(
      "select born_operation_id from segment where volume_id = 1 and segment_id = $1", [.int(segment)]
    ).int(0, 0)
    var times = Times()
    for round in 0..<21 {
      let moment = round == 0 ? lastOperation : Int64.random(in: born...lastOperation, using: &generator)
      let rows = try times.measure {
        try connection.execute("select * from segments_as_of('cortex', $1, $2)", [.int(moment), .int(segment)])
      }
      guard rows.count == 1 else { throw DatabaseError.unexpected("segment \(segment) was not there after \(moment)") }
    }
    report.add("`segments_as_of` of that segment, random operations", times, limit: 50)
  }

  /// Bytes on disk, indexes included.
  func sizes(_ report: inout Report) throws {
    let rows = try connection.execute(
      """
      select c.relname, pg_relation_size(c.oid) + coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0),
        pg_indexes_size(c.oid), (select count(*) from fragment)
      from pg_class c where c.relnamespace = 'fgnet'::regnamespace and c.relkind = 'r'
      order by pg_total_relation_size(c.oid) desc
      """)
    var all = 0.0
    var parts: [(name: String, table: Double, indexes: Double)] = []
    for row in 0..<rows.count {
      let fragments = try rows.double(row, 3)
      let part = (try rows.text(row, 0), try rows.double(row, 1) / fragments, try rows.double(row, 2) / fragments)
      all += part.1 + part.2
      parts.append(part)
    }
    report.add("bytes on disk for each fragment, all tables and indexes", String(Int(all.rounded())), bar: "stated")
    for part in parts where part.table + part.indexes >= 1 {
      report.add("of it `\(part.name)`: rows, indexes", "\(Int(part.table.rounded())), \(Int(part.indexes.rounded()))")
    }
  }
}
