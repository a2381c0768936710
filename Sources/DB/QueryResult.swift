internal import CPostgres
internal import Glibc

/// The rows of one statement. Values are read by column number, from 0.
public final class QueryResult {
  private let result: OpaquePointer
  /// Rows returned.
  public let count: Int

  init(owning result: OpaquePointer) {
    self.result = result
    count = Int(PQntuples(result))
  }

  deinit { PQclear(result) }

  /// Rows that an insert, update or delete touched.
  public var affected: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }

  /// The command's tag, such as COMMIT.
  var command: String { String(cString: PQcmdStatus(result)) }

  private func value(_ row: Int, _ column: Int) throws(DatabaseError) -> UnsafePointer<CChar>? {
    guard row >= 0, row < count, column >= 0, column < Int(PQnfields(result)) else {
      throw .unexpected("no value at row \(row), column \(column) of \(count) rows")
    }
    if PQgetisnull(result, Int32(row), Int32(column)) != 0 { return nil }
    return UnsafePointer(PQgetvalue(result, Int32(row), Int32(column)))
  }

  private func present<T>(_ value: T?, _ row: Int, _ column: Int) throws(DatabaseError) -> T {
    guard let value else { throw .unexpected("null at row \(row), column \(column)") }
    return value
  }

  public func optionalText(_ row: Int, _ column: Int) throws(DatabaseError) -> String? {
    try value(row, column).map { String(cString: $0) }
  }

  public func optionalInt(_ row: Int, _ column: Int) throws(DatabaseError) -> Int64? {
    guard let text = try value(row, column) else { return nil }
    var end: UnsafeMutablePointer<CChar>?
    let number = strtoll(text, &end, 10)
    guard let end, end.pointee == 0, end != UnsafeMutablePointer(mutating: text) else {
      throw .unexpected("column \(column) is not an integer")
    }
    return Int64(number)
  }

  public func optionalDouble(_ row: Int, _ column: Int) throws(DatabaseError) -> Double? {
    guard let text = try optionalText(row, column) else { return nil }
    guard let number = Double(text) else { throw .unexpected("column \(column) is not a number") }
    return number
  }

  /// A bytea.
  public func bytes(_ row: Int, _ column: Int) throws(DatabaseError) -> [UInt8] {
    guard let text = try value(row, column) else { throw .unexpected("null at row \(row), column \(column)") }
    let digits = UnsafeBufferPointer(start: text, count: strlen(text))
    guard digits.count >= 2, digits.count % 2 == 0, digits[0] == 0x5C, digits[1] == 0x78 else {
      throw .unexpected("column \(column) is no bytea")
    }
    func digit(_ character: CChar) -> UInt8 {
      let character = UInt8(bitPattern: character)
      return character < 0x3A ? character &- 0x30 : character &- 0x57
    }
    return stride(from: 2, to: digits.count, by: 2).map { digit(digits[$0]) << 4 | digit(digits[$0 + 1]) }
  }

  public func text(_ row: Int, _ column: Int) throws(DatabaseError) -> String {
    try present(optionalText(row, column), row, column)
  }

  public func int(_ row: Int, _ column: Int) throws(DatabaseError) -> Int64 {
    try present(optionalInt(row, column), row, column)
  }

  public func double(_ row: Int, _ column: Int) throws(DatabaseError) -> Double {
    try present(optionalDouble(row, column), row, column)
  }

  public func bool(_ row: Int, _ column: Int) throws(DatabaseError) -> Bool {
    switch try text(row, column) {
    case "t": true
    case "f": false
    default: throw .unexpected("column \(column) is not a boolean")
    }
  }
}
