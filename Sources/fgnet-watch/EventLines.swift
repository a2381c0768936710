import Glibc

/// Lines on standard output, collected and written in one call for each batch of events.
struct EventLines {
  private var pending: [UInt8] = []

  /// Adds `word` and, escaped, `detail`: every byte but 0x21...0x7E without "%" becomes %XX.
  mutating func add(_ word: String, _ detail: [UInt8]? = nil) {
    pending.append(contentsOf: word.utf8)
    if let detail {
      pending.append(UInt8(ascii: " "))
      for byte in detail {
        if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "%") {
          pending.append(byte)
        } else {
          pending.append(UInt8(ascii: "%"))
          pending.append(Self.digits[Int(byte >> 4)])
          pending.append(Self.digits[Int(byte & 15)])
        }
      }
    }
    pending.append(UInt8(ascii: "\n"))
  }

  /// Enough has been collected for a call of its own.
  var isLong: Bool { pending.count > 32_768 }

  mutating func flush() throws(WatchFailure) {
    var done = 0
    while done < pending.count {
      let put = pending.withUnsafeBytes { write(1, $0.baseAddress! + done, $0.count - done) }
      if put < 0 && errno == EINTR { continue }
      guard put > 0 else { throw .call("standard output cannot be written", errno) }
      done += put
    }
    pending.removeAll(keepingCapacity: true)
  }

  private static let digits = Array("0123456789ABCDEF".utf8)
}
