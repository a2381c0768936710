/// What tells one state of a file from another without reading it.
public struct FileStatus: Sendable, Equatable {
  public var path: String
  /// Bytes.
  public var size: Int64
  /// Last modification, nanoseconds since 1970.
  public var modified: Int64
  public var inode: UInt64
  public var device: UInt64

  public init(path: String, size: Int64, modified: Int64, inode: UInt64, device: UInt64) {
    self.path = path
    self.size = size
    self.modified = modified
    self.inode = inode
    self.device = device
  }

  /// The status of a regular file (symbolic links followed), nil when there is none at `path`.
  public init?(ofFile path: String) {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.init(path: path, status)
  }

  /// Whether this is the state that `other` shows. Inode and device 0 are not known, and not compared.
  func isSame(as other: FileStatus) -> Bool {
    guard size == other.size, modified == other.modified else { return false }
    return inode == 0 || (inode, device) == (other.inode, other.device)
  }

  init(path: String, _ status: stat) {
    self.init(
      path: path, size: Int64(status.st_size),
      modified: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec),
      inode: UInt64(status.st_ino), device: UInt64(status.st_dev))
  }
}

import Glibc
