import Domain
import Glibc

/// What is still to be sent.
struct Outbox {
  /// The next one last.
  private var pieces: [StageArray.Piece]
  /// Bytes of the next one that have gone.
  private var done = 0

  init(_ pieces: [StageArray.Piece]) {
    self.pieces = pieces.filter { $0.withBytes { !$0.isEmpty } }.reversed()
  }

  var isEmpty: Bool { pieces.isEmpty }

  /// Writes what goes without waiting. Returns what the system call does.
  mutating func write(to descriptor: Int32) -> Int {
    guard let piece = pieces.last else { return 0 }
    let (written, left) = piece.withBytes { bytes in
      (Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done), bytes.count - done)
    }
    if written == left {
      pieces.removeLast()
      done = 0
    } else if written > 0 {
      done += written
    }
    return written
  }
}

/// An array that came.
struct ReceivedArray {
  var number: StageNumber
  var bytes: ArraySlice<UInt8>

  func values<T: BitwiseCopyable>(_ type: T.Type) -> [T] {
    bytes.withUnsafeBytes { numbers($0, as: type) }
  }
}

/// The arrays of an answer, while they come: one after the other, without padding.
struct Payload {
  private var sizes: [(number: StageNumber, bytes: Int)] = []
  private var bytes: [UInt8] = []
  private var filled = 0

  init() {}

  init(_ expected: [ExpectedArray], _ types: [StageNumber]) {
    sizes = zip(expected, types).map { ($1, $0.count * $1.bytes) }
    bytes = [UInt8](repeating: 0, count: sizes.reduce(0) { $0 + $1.bytes })
  }

  var isFull: Bool { filled == bytes.count }

  /// Takes bytes that came with the header. Returns false if they are more than all.
  mutating func append(_ some: ArraySlice<UInt8>) -> Bool {
    guard some.count <= bytes.count - filled else { return false }
    bytes.replaceSubrange(filled..<filled + some.count, with: some)
    filled += some.count
    return true
  }

  /// Reads what is there. Returns what the system call does.
  mutating func read(from descriptor: Int32) -> Int {
    let (done, left) = (filled, bytes.count - filled)
    let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + done }, left) }
    if got > 0 { filled += got }
    return got
  }

  /// - Precondition: it is full.
  var arrays: [ReceivedArray] {
    var start = 0
    return sizes.map { size in
      defer { start += size.bytes }
      return ReceivedArray(number: size.number, bytes: bytes[start..<start + size.bytes])
    }
  }
}

/// Lines of a program's standard error on their way into the log: not too long, and not too many.
struct ComplaintLines {
  /// Lines that are passed on within `period` seconds.
  static let most = 20
  static let period = 10.0
  /// Characters of a line.
  static let longest = 500

  private let log: @Sendable (String) -> Void
  private var line: [UInt8] = []
  private var began = 0.0
  private var passed = 0
  private var held = 0
  /// The last line that says something.
  private(set) var last: String?
  /// Standard error was closed.
  private(set) var areOver = false

  init(log: @escaping @Sendable (String) -> Void) { self.log = log }

  /// Takes what is there, at most a few pieces: a program that floods must not keep the daemon from its answer.
  mutating func read(from descriptor: Int32) {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    for _ in 0..<4 {
      let got = Glibc.read(descriptor, &piece, piece.count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 { return }
      guard got > 0 else {
        areOver = true
        endLine()
        return
      }
      for part in piece[..<got].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
        if part.offset > 0 { endLine() }
        line += part.element.prefix(max(0, 4 * Self.longest - line.count))
      }
    }
  }

  private mutating func endLine() {
    let text = CommandHeaders.readable(String(decoding: line, as: UTF8.self), longest: Self.longest)
    line.removeAll(keepingCapacity: true)
    if text.isEmpty { return }
    last = text
    let now = monotonicSeconds()
    if now - began > Self.period {
      if held > 0 { log("\(held) more lines were left out") }
      (began, passed, held) = (now, 0, 0)
    }
    guard passed < Self.most else {
      held += 1
      return
    }
    passed += 1
    log(text)
    if passed == Self.most { log("further lines within \(Int(Self.period)) s are left out") }
  }
}
