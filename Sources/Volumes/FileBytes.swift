import Glibc

/// A file open for reading at any place. Its size is taken once, when it is opened.
struct FileBytes: ~Copyable {
  private let descriptor: Int32
  let size: Int

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
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else { return nil }
    var done = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while done < count {
        let got = pread(descriptor, buffer.baseAddress! + done, count - done, offset + done)
        if got < 0 && errno == EINTR { continue }
        if got <= 0 { break }
        done += got
      }
      filled = done
    }
    return done == count ? bytes : nil
  }
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
