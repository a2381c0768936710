import Glibc

/// A file open for reading at any place. Its size is taken once, when it is opened.
struct FileBytes: ~Copyable {
  private let descriptor: Int32
  let size: Int
  private let failed = FailedCall()
  /// The errno of the first call that failed; nil while none has.
  var failure: Int32? { failed.number }

  /// Fails with the errno of the call that failed; EISDIR for what is not a regular file.
  init(path: String) throws(SystemFailure) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
      size = 0
      throw SystemFailure(number: errno)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      size = 0
      close(descriptor)
      throw SystemFailure(number: EISDIR)
    }
    size = status.st_size
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Exactly `count` bytes at `offset`, or nil when the file does not reach so far or cannot be read.
  func read(at offset: Int, count: Int) -> [UInt8]? {
    guard holds(offset, count) else { return nil }
    var isRead = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      isRead = read(
        at: offset, into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
      filled = isRead ? count : 0
    }
    return isRead ? bytes : nil
  }

  /// Whether `count` bytes at `offset` lie inside the file.
  func holds(_ offset: Int, _ count: Int) -> Bool {
    offset >= 0 && count >= 0 && offset <= size && count <= size - offset
  }

  /// Fills the buffer from `offset` on; false when the file does not reach so far or cannot be read.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard holds(offset, buffer.count) else { return false }
    var done = 0
    while done < buffer.count {
      let got = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
      if got < 0 && errno == EINTR { continue }
      if got < 0, failed.number == nil { failed.number = errno }
      if got <= 0 { return false }
      done += got
    }
    return true
  }
}

/// Where the readers of a file, who only borrow it, note that one failed.
private final class FailedCall {
  var number: Int32?
}

/// The errno of a failed system call.
struct SystemFailure: Error {
  let number: Int32
}

extension Array where Element: BitwiseCopyable {
  /// The elements' memory, to be filled by C.
  mutating func fill(
    _ body: (UnsafeMutableRawBufferPointer) throws(VolumeError) -> Void
  ) throws(VolumeError) {
    try withUnsafeMutableBufferPointer { buffer throws(VolumeError) in
      try body(UnsafeMutableRawBufferPointer(buffer))
    }
  }
}
