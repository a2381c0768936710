/// A failure to read or write a picture or a volume, in words for the operator.
public enum VolumeError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file cannot be opened or read: it is missing, forbidden or its disk fails.
  case unreadable(path: String, reason: String)
  /// The file is whole, but not of a kind that is taken in.
  case unsupported(path: String, reason: String)
  /// The file is cut short or damaged.
  case corrupt(path: String, reason: String)
  /// The file was written or replaced while it was read.
  case changed(path: String)
  /// The file cannot be written.
  case unwritable(path: String, reason: String)
  /// The disk or the quota is full. Nothing half-written is left behind.
  case noSpace(path: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path) cannot be read (\(reason)); check that it exists and that the daemon may read it"
    case .unsupported(let path, let reason): "\(path) cannot be used: \(reason)"
    case .corrupt(let path, let reason): "\(path) is damaged or cut short: \(reason)"
    case .changed(let path): "\(path) changed while it was read; it is to be read again"
    case .unwritable(let path, let reason):
      "\(path) cannot be written (\(reason)); check the folder and its permissions"
    case .noSpace(let path): "\(path) cannot be written: no space is left on its disk or in its quota; free some"
    }
  }

  /// The error for a system call that failed while writing.
  static func writing(_ path: String, number: Int32, otherwise: String = "unknown error") -> VolumeError {
    switch number {
    case ENOSPC, EDQUOT, EFBIG: .noSpace(path: path)
    case 0: .unwritable(path: path, reason: otherwise)
    default: .unwritable(path: path, reason: Files.message(number))
    }
  }
}

import Glibc
