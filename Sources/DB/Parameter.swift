/// A value bound to $1, $2, ... of a statement. It never becomes part of the SQL text.
public enum Parameter: Sendable, Equatable {
  case null
  case text(String)
  case int(Int64)
  case double(Double)
  case bool(Bool)
  /// A bigint[], sent in binary; write `$1::bigint[]`.
  case ints([Int64])

  public static func text(optional value: String?) -> Parameter { value.map { .text($0) } ?? .null }
  public static func int(optional value: Int64?) -> Parameter {
    if let value { .int(value) } else { .null }
  }
  public static func double(optional value: Double?) -> Parameter { value.map { .double($0) } ?? .null }
  public static func int(_ value: Int) -> Parameter { .int(Int64(value)) }
  public static func int(_ value: Int32) -> Parameter { .int(Int64(value)) }

  /// Bytes as libpq wants them: texts end in a zero byte.
  var encoded: [UInt8]? {
    switch self {
    case .null: nil
    case .text(let value): Array(value.utf8.prefix { $0 != 0 }) + [0]
    case .int(let value): Array(String(value).utf8) + [0]
    case .double(let value): Array(String(value).utf8) + [0]
    case .bool(let value): [value ? 0x74 : 0x66, 0]
    case .ints(let values): Parameter.arrayBytes(values)
    }
  }

  var isBinary: Bool {
    if case .ints = self { return true }
    return false
  }

  /// PostgreSQL's binary form of a one-dimensional bigint array.
  private static func arrayBytes(_ values: [Int64]) -> [UInt8] {
    var bytes = WireBuffer(capacity: 20 + values.count * 12)
    bytes.append(Int32(values.isEmpty ? 0 : 1))
    bytes.append(Int32(0))
    bytes.append(Int32(20))
    if !values.isEmpty {
      bytes.append(Int32(values.count))
      bytes.append(Int32(1))
      for value in values {
        bytes.append(Int32(8))
        bytes.append(value)
      }
    }
    return bytes.withBytes { Array($0) }
  }
}

/// Bytes in network order, growing.
struct WireBuffer: ~Copyable {
  private var start: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init(capacity: Int) {
    self.capacity = max(64, capacity)
    start = .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { start.deallocate() }

  private mutating func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    capacity = max(capacity * 2, count + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    larger.copyMemory(from: start, byteCount: count)
    start.deallocate()
    start = larger
  }

  mutating func append(_ value: Int16) {
    reserve(2)
    start.storeBytes(of: value.bigEndian, toByteOffset: count, as: Int16.self)
    count += 2
  }

  mutating func append(_ value: Int32) {
    reserve(4)
    start.storeBytes(of: value.bigEndian, toByteOffset: count, as: Int32.self)
    count += 4
  }

  mutating func append(_ value: Int64) {
    reserve(8)
    start.storeBytes(of: value.bigEndian, toByteOffset: count, as: Int64.self)
    count += 8
  }

  mutating func append(byte: UInt8) {
    reserve(1)
    start.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count += 1
  }

  mutating func append(bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    reserve(bytes.count)
    (start + count).copyMemory(from: base, byteCount: bytes.count)
    count += bytes.count
  }

  borrowing func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
    body(UnsafeRawBufferPointer(start: start, count: count))
  }
}
