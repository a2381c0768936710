import DB
import Testing

@Suite struct ConnectionTests {
  @Test func valuesComeBackAsTheyWent() throws {
    let connection = try TestDatabase(migrated: false).connection
    let text = "a'; drop table x; -- \\ \" \n ü"
    let result = try connection.execute(
      "select $1::text, $2::bigint, $3::float8, $4::boolean, $5::text, $6::bigint[], $7::bigint[]",
      [.text(text), .int(Int64.max), .double(0.1), .bool(true), .null, .ints([1, -2, Int64.min]), .ints([])])
    #expect(try result.text(0, 0) == text)
    #expect(try result.int(0, 1) == Int64.max)
    #expect(try result.double(0, 2) == 0.1)
    #expect(try result.bool(0, 3))
    #expect(try result.optionalText(0, 4) == nil)
    #expect(try result.text(0, 5) == "{1,-2,-9223372036854775808}")
    #expect(try result.text(0, 6) == "{}")
    #expect(throws: DatabaseError.self) { try result.int(0, 0) }
    #expect(throws: DatabaseError.self) { try result.text(0, 4) }
    #expect(throws: DatabaseError.self) { try result.text(1, 0) }
  }

  @Test func manyRowsByCopy() throws {
    let connection = try TestDatabase(migrated: false).connection
    try connection.script("create temporary table many (a bigint, b integer, c real, d float8, e boolean, f text)")
    var copy = CopyBuilder(columns: 6, expectedRows: 10)
    for row in 0..<20_000 {
      copy.row()
      copy.int8(Int64(row) << 30)
      copy.int4(Int32(-row))
      copy.float4(Float(row) / 4)
      copy.float8(Double(row) / 3)
      copy.bool(row % 2 == 0)
      if row % 5 == 0 { copy.null() } else { copy.text("row \(row)") }
    }
    try connection.copyIn("many", copy)
    let row = try connection.execute("select * from many where b = -19999")
    #expect(
      try row.table(columns: 6) == [["\(19_999 << 30)", "-19999", "4999.75", "6666.333333333333", "f", "row 19999"]])
    let sums = try connection.execute("select count(*), count(f), sum(a >> 30), count(*) filter (where e) from many")
    #expect(try sums.table(columns: 4) == [["20000", "16000", "199990000", "10000"]])
  }

  private func copySevens(_ connection: Connection, _ table: String) throws {
    var copy = CopyBuilder(columns: 1)
    for _ in 0..<2 {
      copy.row()
      copy.int4(7)
    }
    try connection.copyIn(table, copy)
  }

  @Test func aFailedCopyLeavesTheConnectionUsable() throws {
    let connection = try TestDatabase(migrated: false).connection
    try connection.script("create temporary table one (a integer primary key)")
    let failure = #expect(throws: DatabaseError.self) { try copySevens(connection, "one") }
    #expect(failure?.sqlstate == "23505")
    #expect(failure?.isTransient == false)
    #expect(failure?.description.contains("7") == false, "no values in messages")
    #expect(try connection.execute("select from one").count == 0)
    #expect(throws: DatabaseError.self) { try copySevens(connection, "absent") }
    #expect(try connection.execute("select 1").int(0, 0) == 1)
  }

  @Test func transactionsNest() throws {
    let connection = try TestDatabase(migrated: false).connection
    try connection.script("create temporary table t (a integer)")
    try connection.transaction { () throws(DatabaseError) in
      try connection.execute("insert into t values (1)")
      do throws(DatabaseError) {
        try connection.transaction { () throws(DatabaseError) in
          try connection.execute("insert into t values (2)")
          throw .conflict("inner")
        }
      } catch {
        guard error == .conflict("inner") else { throw error }
      }
      try connection.transaction { () throws(DatabaseError) in _ = try connection.execute("insert into t values (3)") }
    }
    #expect(try connection.execute("select a from t order by a").table(columns: 1) == [["1"], ["3"]])
    #expect(throws: DatabaseError.conflict("outer")) {
      try connection.transaction { () throws(DatabaseError) in
        try connection.execute("delete from t")
        throw .conflict("outer")
      }
    }
    #expect(try connection.execute("select from t").count == 2)
    #expect(!connection.isInTransaction)
  }

  @Test func aSwallowedFailureIsNotACommit() throws {
    let connection = try TestDatabase(migrated: false).connection
    #expect(throws: DatabaseError.self) {
      try connection.transaction { () throws(DatabaseError) in
        do { try connection.script("select 1 / 0") } catch {}
      }
    }
    #expect(!connection.isInTransaction)
  }

  @Test func noServerIsTransientAndOneLine() {
    let failure = #expect(throws: DatabaseError.self) {
      try Connection("host=/nonexistent port=1 user=someone password=secret")
    }
    #expect(failure?.isTransient == true)
    #expect(failure?.description.contains("\n") == false)
    #expect(failure?.description.contains("secret") == false)
  }

  @Test(arguments: [
    ("57P01", true), ("57P03", true), ("53100", true), ("53300", true), ("40001", true), ("40P01", true),
    ("25006", true), ("08006", true), ("23505", false), ("42P01", false), ("57014", false), ("22003", false),
    ("55P03", true), ("58030", true),
  ])
  func someFailuresPass(state: String, passes: Bool) {
    #expect(DatabaseError.server(sqlstate: state, message: "").isTransient == passes)
  }
}
