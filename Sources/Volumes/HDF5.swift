import CHDF5
import Glibc
import Synchronization

/// The one way into the HDF5 library: one caller at a time (the library has one global lock anyhow, and not every
/// build of it is thread-safe), with the printing of errors turned off for the calling thread.
enum HDF5 {
  private static let lane = Mutex(())

  static func enter<T>(_ body: () throws(VolumeError) -> T) throws(VolumeError) -> T {
    try lane.withLock { _ throws(VolumeError) -> T in
      chdf5_silence()
      return try body()
    }
  }
}

/// An HDF5 identifier that is released when it goes out of scope.
struct H5ID: ~Copyable {
  let raw: hid_t

  /// - Throws: The library's own words if `raw` is not valid.
  init(_ raw: hid_t, _ file: H5Context) throws(VolumeError) {
    self.raw = raw
    if raw < 0 { throw file.failure() }
  }

  deinit { if raw >= 0 { H5Idec_ref(raw) } }
}

/// Which file is at work, and how a failure is to be named.
struct H5Context {
  enum Mode { case reading, writing }
  let path: String
  let mode: Mode

  /// The error for the HDF5 call that has just failed on this thread.
  func failure(_ fallback: String = "HDF5 refuses") -> VolumeError {
    let error = chdf5_last_error()
    let text = withUnsafeBytes(of: error.text) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let reason = text.isEmpty ? fallback : text
    switch mode {
    case .writing: return .writing(path, number: error.number, otherwise: reason)
    case .reading:
      if error.number != 0 { return .unreadable(path: path, reason: Files.message(error.number)) }
      return .corrupt(path: path, reason: reason)
    }
  }

  func check(_ status: herr_t) throws(VolumeError) {
    if status < 0 { throw failure() }
  }
}

/// Element types of datasets.
enum H5Element {
  case u8, u16, u32, u64, i32, i64, f64

  var type: hid_t {
    switch self {
    case .u8: chdf5_u8()
    case .u16: chdf5_u16()
    case .u32: chdf5_u32()
    case .u64: chdf5_u64()
    case .i32: chdf5_i32()
    case .i64: chdf5_i64()
    case .f64: chdf5_f64()
    }
  }

  var bytes: Int {
    switch self {
    case .u8: 1
    case .u16: 2
    case .u32, .i32: 4
    case .u64, .i64, .f64: 8
    }
  }
}
