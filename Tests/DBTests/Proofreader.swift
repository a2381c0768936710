import DB
import Domain

/// A person at psql.
struct Proofreader {
  let connection: Connection
  var volume = "cortex"

  init(_ connection: Connection) { self.connection = connection }

  @discardableResult
  func merge(_ a: FragmentID, _ b: FragmentID, _ reason: String = "same neurite") throws(DatabaseError) -> Int64 {
    try call("select merge($1, $2, $3, $4)", [.text(volume), .id(a), .id(b), .text(reason)])
  }

  @discardableResult
  func split(_ segment: FragmentID, _ fragments: [FragmentID]) throws(DatabaseError) -> Int64 {
    try call(
      "select split($1, $2, $3::bigint[], 'not a neurite')",
      [.text(volume), .id(segment), .ints(fragments.map { Int64($0.rawValue) })])
  }

  @discardableResult
  func split(_ segment: FragmentID, between a: FragmentID, _ b: FragmentID) throws(DatabaseError) -> Int64 {
    try call(
      "select split($1, $2::bigint, $3::bigint, $4::bigint, 'two neurites')",
      [.text(volume), .id(segment), .id(a), .id(b)])
  }

  @discardableResult
  func undo(_ operation: Int64) throws(DatabaseError) -> Int64 {
    try call("select undo($1, 'a mistake')", [.int(operation)])
  }

  @discardableResult
  func redo(_ operation: Int64) throws(DatabaseError) -> Int64 {
    try call("select redo($1, 'no mistake')", [.int(operation)])
  }

  @discardableResult
  func lock(_ segment: FragmentID) throws(DatabaseError) -> Int64 {
    try call("select lock($1, $2, 'traced')", [.text(volume), .id(segment)])
  }

  @discardableResult
  func confirm(_ a: FragmentID, _ b: FragmentID) throws(DatabaseError) -> Int64 {
    try call("select confirm($1, $2, $3, 'looked at')", [.text(volume), .id(a), .id(b)])
  }

  @discardableResult
  func annotate(_ segment: FragmentID, _ note: String) throws(DatabaseError) -> Int64 {
    try call("select annotate($1, $2, $3)", [.text(volume), .id(segment), .text(note)])
  }

  private func call(_ sql: String, _ parameters: [Parameter]) throws(DatabaseError) -> Int64 {
    try connection.execute(sql, parameters).int(0, 0)
  }

  /// Pairs and single fragments of corrections in force, by what was decided.
  func corrections(_ decision: String) throws -> [[String]] {
    try connection.execute(
      """
      select fragment_a, fragment_b from correction where decision = $1 and until_operation_id is null order by 1, 2
      """, [.text(decision)]
    ).table(columns: 2)
  }

  /// Kinds and fragments of open conflicts.
  func conflicts() throws -> [[String]] {
    try connection.execute(
      """
      select kind, fragment_a, fragment_b from conflict where resolved_operation_id is null order by conflict_id
      """
    ).table(columns: 3)
  }
}

extension Parameter {
  static func id(_ id: FragmentID) -> Parameter { .int(Int64(id.rawValue)) }
}
