import Domain
import Glibc
import Volumes

/// Denoised sections on disk, for sections that are read part by part and several times: each pixel is denoised once.
///
/// The files have no name: their room is free again when the program ends, however it ends. Used from one thread.
final class DenoisedScratch {
  private let directory: String
  private let capacity: Int
  private var files: [(key: String, descriptor: Int32)] = []

  /// - Parameters:
  ///   - directory: where the files are.
  ///   - capacity: sections that are held; the one that was made first goes first.
  init(directory: String, capacity: Int) {
    self.directory = directory
    self.capacity = capacity
  }

  deinit { for file in files { close(file.descriptor) } }

  /// A window of the section `key`.
  /// - Parameter make: denoises a window; called when the section is not there yet, for all of it, band by band.
  /// - Throws: `VolumeError.noSpace` or `.unwritable`; what `make` throws.
  func read(
    _ key: String, _ window: PlaneWindow, in whole: PlaneWindow, make: (PlaneWindow) throws -> Plane<Float>
  ) throws -> Plane<Float> {
    let known = files.first { $0.key == key }?.descriptor
    let descriptor = try known ?? file(key, whole, make)
    var values = [Float](repeating: 0, count: window.pixels)
    try values.withUnsafeMutableBytes { buffer in
      for (row, y) in window.rows.enumerated() {
        let part = UnsafeMutableRawBufferPointer(
          rebasing: buffer[row * window.width * 4..<(row + 1) * window.width * 4])
        try transfer(part.count, at: 4 * (y * whole.width + window.columns.lowerBound)) { done, left, place in
          pread(descriptor, part.baseAddress.map { $0 + done }, left, place)
        }
      }
    }
    return Plane(height: window.height, width: window.width, storage: values)
  }

  private func file(
    _ key: String, _ whole: PlaneWindow, _ make: (PlaneWindow) throws -> Plane<Float>
  ) throws -> Int32 {
    while files.count >= capacity { close(files.removeFirst().descriptor) }
    let path = directory + "/.denoised.tmp"
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure() }
    unlink(path)
    do {
      let rows = max(1, (1 << 22) / whole.width)
      for start in stride(from: 0, to: whole.height, by: rows) {
        let band = PlaneWindow(rows: start..<min(start + rows, whole.height), columns: whole.columns)
        try make(band).storage.withUnsafeBytes { bytes in
          try transfer(bytes.count, at: 4 * start * whole.width) { done, left, place in
            pwrite(descriptor, bytes.baseAddress.map { $0 + done }, left, place)
          }
        }
      }
    } catch {
      close(descriptor)
      throw error
    }
    files.append((key, descriptor))
    return descriptor
  }

  /// Reads or writes all of it.
  /// - Parameter step: is given the bytes done, the bytes left, and the place in the file; gives what a system call does.
  private func transfer(_ count: Int, at place: Int, _ step: (Int, Int, Int) -> Int) throws {
    var done = 0
    while done < count {
      let now = step(done, count - done, place + done)
      if now < 0 && errno == EINTR { continue }
      guard now > 0 else { throw failure() }
      done += now
    }
  }

  private func failure() -> VolumeError {
    let number = errno
    let path = directory + "/.denoised.tmp"
    return number == ENOSPC || number == EDQUOT || number == EFBIG
      ? .noSpace(path: path) : .unwritable(path: path, reason: String(cString: strerror(number)))
  }
}
