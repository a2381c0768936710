import Foundation

@testable import Intake

/// A folder that is removed with its last reference.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array((NSTemporaryDirectory() + "/fgnet-intake-XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else { throw CocoaError(.fileWriteUnknown) }
    path = String(cString: made)
  }

  deinit {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/rm")
    process.arguments = ["-rf", path]
    try? process.run()
    process.waitUntilExit()
  }

  func file(_ name: String) -> String { path + "/" + name }
}

struct CallFailure: Error {
  let what: String
  let number: Int32
}

/// Writes and closes a file by system calls; the path may be any bytes.
func put(_ text: String, _ path: [UInt8]) throws {
  let descriptor = open(path.map { CChar(bitPattern: $0) } + [0], O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  guard descriptor >= 0 else { throw CallFailure(what: "open", number: errno) }
  defer { close(descriptor) }
  guard write(descriptor, text, text.utf8.count) == text.utf8.count else {
    throw CallFailure(what: "write", number: errno)
  }
}

func put(_ text: String, _ path: String) throws { try put(text, Array(path.utf8)) }

func check(_ status: Int32, _ what: String) throws {
  if status != 0 { throw CallFailure(what: what, number: errno) }
}

/// Runs `body` without root's privilege to read everything. On this thread only.
func unprivileged<T>(_ body: () throws -> T) throws -> T {
  guard geteuid() == 0 else { return try body() }
  typealias Call = @convention(c) (UInt32) -> Int32
  // Not among what Swift sees of Glibc.
  guard let symbol = dlsym(nil, "setfsuid") else { throw CallFailure(what: "setfsuid", number: 0) }
  let setfsuid = unsafeBitCast(symbol, to: Call.self)
  _ = setfsuid(65534)
  defer { _ = setfsuid(0) }
  return try body()
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
