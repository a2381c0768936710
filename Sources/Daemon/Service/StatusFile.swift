import CLinux
import Glibc
import Web

/// `status.json`, replaced at once by exchanging its name with that of a second file, which is written before.
///
/// Both files keep their room on the disk, so that the alarm of a full disk can be written to the full disk.
struct StatusFile {
  /// The files grow by so many bytes, filled up with newlines.
  static let step = 16 << 10

  let path: String
  /// Written, and then shown under the other's name.
  let spare: String

  init(stateDirectory: String) {
    path = DaemonStatus.path(in: stateDirectory)
    spare = stateDirectory + "/.status.json.spare"
  }

  /// Puts `text` in place of what is there.
  /// - Throws: what went wrong, in words; what was there is still there.
  func replace(with text: [UInt8]) throws(StatusFileError) {
    let size = (text.count + Self.step) / Self.step * Self.step
    try write(text + [UInt8](repeating: UInt8(ascii: "\n"), count: size - text.count))
    if clinux_swap_files(spare, path) == 0 { return }
    // The first time, and on file systems that cannot exchange names.
    guard rename(spare, path) == 0 else { throw StatusFileError(number: errno) }
  }

  /// Takes the room of the file that is written next, if it has none yet.
  func reserve() throws(StatusFileError) {
    if access(spare, F_OK) != 0 { try write([UInt8](repeating: UInt8(ascii: "\n"), count: Self.step)) }
  }

  private func write(_ bytes: [UInt8]) throws(StatusFileError) {
    let descriptor = open(spare, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw StatusFileError(number: errno) }
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done, off_t(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw StatusFileError(number: errno) }
      done += count
    }
    guard ftruncate(descriptor, off_t(bytes.count)) == 0 else { throw StatusFileError(number: errno) }
  }
}

/// A status file could not be written.
struct StatusFileError: Error, CustomStringConvertible {
  var number: Int32
  var description: String { String(cString: strerror(number)) }
}
