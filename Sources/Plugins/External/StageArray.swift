/// Types of numbers that cross between the daemon and a program; the names are NumPy's. Little-endian.
enum StageNumber: String, CaseIterable {
  case uint8, uint32, int32, uint64, int64, float32

  var bytes: Int {
    switch self {
    case .uint8: 1
    case .uint32, .int32, .float32: 4
    case .uint64, .int64: 8
    }
  }
}

/// An array that is sent: a name, a shape (C order), and its numbers in one or more pieces.
struct StageArray {
  enum Piece {
    case uint8([UInt8])
    case uint32([UInt32])
    case int32([Int32])
    case uint64([UInt64])
    case int64([Int64])
    case float32([Float])

    var number: StageNumber {
      switch self {
      case .uint8: .uint8
      case .uint32: .uint32
      case .int32: .int32
      case .uint64: .uint64
      case .int64: .int64
      case .float32: .float32
      }
    }

    func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
      switch self {
      case .uint8(let values): values.withUnsafeBytes(body)
      case .uint32(let values): values.withUnsafeBytes(body)
      case .int32(let values): values.withUnsafeBytes(body)
      case .uint64(let values): values.withUnsafeBytes(body)
      case .int64(let values): values.withUnsafeBytes(body)
      case .float32(let values): values.withUnsafeBytes(body)
      }
    }
  }

  var name: String
  var shape: [Int]
  var pieces: [Piece]

  init(_ name: String, _ shape: [Int], _ pieces: [Piece]) {
    self.name = name
    self.shape = shape
    self.pieces = pieces
  }

  init(_ name: String, _ piece: Piece) {
    self.init(name, [piece.withBytes { $0.count } / piece.number.bytes], [piece])
  }

  var number: StageNumber { pieces.first?.number ?? .uint8 }

  /// As a message's header says it.
  var header: [String: Any] { ["name": name, "dtype": number.rawValue, "shape": shape] }
}

/// An array that is expected in an answer.
struct ExpectedArray {
  var name: String
  var shape: [Int]
  /// Any of these.
  var numbers: [StageNumber]

  var count: Int { shape.reduce(1, *) }
}

/// Bytes of an array that came, as numbers. The type was checked before.
func numbers<T: BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, as type: T.Type) -> [T] {
  let count = bytes.count / MemoryLayout<T>.stride
  return [T](unsafeUninitializedCapacity: count) { buffer, initialised in
    UnsafeMutableRawBufferPointer(buffer).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count * MemoryLayout<T>.stride)))
    initialised = count
  }
}
