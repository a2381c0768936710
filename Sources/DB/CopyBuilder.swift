/// Rows for `COPY ... FROM STDIN (FORMAT binary)`. Values must have exactly the types of the columns.
public struct CopyBuilder: ~Copyable {
  private var buffer: WireBuffer
  private let columns: Int16
  private var pending = 0
  /// Rows begun.
  public private(set) var rows = 0

  /// - Parameter columns: values of each row.
  public init(columns: Int, expectedRows: Int = 1024) {
    precondition(columns > 0 && columns < 1600)
    self.columns = Int16(columns)
    buffer = WireBuffer(capacity: 32 + expectedRows * (2 + columns * 12))
    let signature: [UInt8] = [0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00]
    signature.withUnsafeBytes { buffer.append(bytes: $0) }
    buffer.append(Int32(0))
    buffer.append(Int32(0))
  }

  /// Begins a row; the one before must be complete.
  public mutating func row() {
    precondition(pending == 0, "the row before lacks \(pending) values")
    buffer.append(columns)
    pending = Int(columns)
    rows += 1
  }

  private mutating func field() {
    precondition(pending > 0, "more values than columns")
    pending -= 1
  }

  public mutating func null() {
    field()
    buffer.append(Int32(-1))
  }

  /// bigint
  public mutating func int8(_ value: Int64) {
    field()
    buffer.append(Int32(8))
    buffer.append(value)
  }

  /// integer
  public mutating func int4(_ value: Int32) {
    field()
    buffer.append(Int32(4))
    buffer.append(value)
  }

  /// real
  public mutating func float4(_ value: Float) { int4(Int32(bitPattern: value.bitPattern)) }

  /// double precision
  public mutating func float8(_ value: Double) { int8(Int64(bitPattern: value.bitPattern)) }

  /// boolean
  public mutating func bool(_ value: Bool) {
    field()
    buffer.append(Int32(1))
    buffer.append(byte: value ? 1 : 0)
  }

  /// text
  public mutating func text(_ value: StaticString) {
    field()
    buffer.append(Int32(value.utf8CodeUnitCount))
    buffer.append(bytes: UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
  }

  /// text
  public mutating func text(_ value: String) {
    field()
    var value = value
    value.withUTF8 { utf8 in
      buffer.append(Int32(utf8.count))
      buffer.append(bytes: UnsafeRawBufferPointer(utf8))
    }
  }

  /// bytea
  public mutating func bytea(_ value: [UInt8]) {
    field()
    buffer.append(Int32(value.count))
    value.withUnsafeBytes { buffer.append(bytes: $0) }
  }

  /// Ends the data and lends it.
  consuming func withData<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
    precondition(pending == 0, "the last row lacks \(pending) values")
    buffer.append(Int16(-1))
    return buffer.withBytes(body)
  }
}
