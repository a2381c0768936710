import Glibc

/// Why the program ends, in one line.
struct WatchFailure: Error {
  let status: Int32
  let text: String

  init(_ text: String, status: Int32 = 1) {
    self.text = text
    self.status = status
  }

  static func call(_ what: String, _ number: Int32) -> WatchFailure {
    WatchFailure("\(what): \(String(cString: strerror(number)))")
  }
}
