import Glibc

/// Writes a text file piece by piece. It appears under its name with `finish`, on disk; without it nothing is left behind.
public final class TextFileWriter {
  private let path: String
  private let temporary: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []

  /// - Throws: `VolumeError.unwritable`, `.noSpace`.
  public init(path: String) throws(VolumeError) {
    self.path = path
    temporary = Files.temporary(for: path)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw VolumeError.writing(path, number: errno) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporary)
  }

  /// - Throws: `VolumeError.unwritable`, `.noSpace`.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(VolumeError) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// - Throws: as above.
  public func append(_ text: String) throws(VolumeError) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// Puts the file in place.
  /// - Throws: as above; nothing is left at `path` that was not there before.
  public func finish() throws(VolumeError) {
    try flush()
    let done = close(descriptor)
    descriptor = -1
    guard done == 0 else {
      let number = errno
      unlink(temporary)
      throw VolumeError.writing(path, number: number)
    }
    try Files.commit(temporary, to: path)
  }

  private func flush() throws(VolumeError) {
    var written = 0
    while written < buffer.count {
      let count = buffer.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, $0.count - written) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw VolumeError.writing(path, number: errno) }
      written += count
    }
    buffer.removeAll(keepingCapacity: true)
  }
}
