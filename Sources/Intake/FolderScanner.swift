import Glibc

/// What a folder held when it was listed.
public struct FolderListing: Sendable, Equatable {
  /// What tells one folder from another at the same path: a mount that came or went, a folder made anew.
  public struct Identity: Sendable, Equatable {
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
      self.device = device
      self.inode = inode
    }
  }

  public var identity: Identity
  /// nil when it cannot be told.
  public var fileSystem: FileSystemType?
  /// Regular files, ascending by the bytes of their paths.
  public var files: [FileStatus]
  /// Paths of files whose names are not UTF-8, such bytes as %XX.
  public var unnameable: [String]
  /// What could not be looked at. Files at these paths and below may be missing in `files`.
  public var faults: [ScanFault]

  public init(
    identity: Identity, fileSystem: FileSystemType? = nil, files: [FileStatus], unnameable: [String] = [],
    faults: [ScanFault] = []
  ) {
    self.identity = identity
    self.fileSystem = fileSystem
    self.files = files
    self.unnameable = unnameable
    self.faults = faults
  }

  /// Whether there is nothing in it, as far as one can see.
  var isEmpty: Bool { files.isEmpty && unnameable.isEmpty && faults.isEmpty }
}

/// A file or folder that could not be looked at.
public struct ScanFault: Sendable, Equatable, CustomStringConvertible {
  /// Bytes that are not UTF-8 as %XX.
  public var path: String
  public var reason: String

  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  public var description: String { "\(path) cannot be looked at: \(reason)" }
}

/// The outcome of a scan.
public enum ScanResult: Sendable, Equatable {
  case listing(FolderListing)
  /// The folder itself cannot be listed: deleted, unmounted, forbidden. Says nothing about its files.
  case vanished(reason: String)
}

/// Lists folders.
public enum FolderScanner {
  /// Lists the files of a folder. Symbolic links to files are followed, to folders not, nor are those that lead nowhere or in a
  /// circle; everything but regular files is left out. Errors are in the result.
  /// - Parameter sign: called before everything that may take long where a mount does not answer.
  public static func scan(_ folder: String, recursive: Bool, sign: () -> Void = {}) -> ScanResult {
    sign()
    var status = stat()
    guard stat(folder, &status) == 0 else { return .vanished(reason: "\(folder): \(message(errno))") }
    guard status.st_mode & S_IFMT == S_IFDIR else { return .vanished(reason: "\(folder) is not a folder") }
    sign()
    var listing = FolderListing(
      identity: .init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)),
      fileSystem: FileSystemType(holding: folder), files: [])
    var open = [Array(withoutTrailingSlashes(folder).utf8)]
    var first = true
    while let next = open.popLast() {
      if let number = list(next, into: &listing, sign, subfolders: recursive ? { open.append($0) } : { _ in }) {
        let path = PercentEscape.named(next)
        if first { return .vanished(reason: "\(path) cannot be listed: \(message(number))") }
        // A subfolder deleted meanwhile has no files that could be missed.
        if number != ENOENT { listing.faults.append(ScanFault(path: path, reason: message(number))) }
      }
      first = false
    }
    listing.files.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    listing.unnameable.sort()
    return .listing(listing)
  }

  /// Lists one folder; returns the errno of a failure.
  private static func list(
    _ folder: [UInt8], into listing: inout FolderListing, _ sign: () -> Void, subfolders: ([UInt8]) -> Void
  ) -> Int32? {
    sign()
    guard let stream = opendir(folder.map { CChar(bitPattern: $0) } + [0]) else { return errno }
    defer { closedir(stream) }
    let place = dirfd(stream)
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      defer { errno = 0 }
      if name == [0x2E] || name == [0x2E, 0x2E] { continue }
      let path = folder + [UInt8(ascii: "/")] + name
      sign()
      switch status(place, name) {
      case .success(let status) where status.st_mode & S_IFMT == S_IFDIR: subfolders(path)
      case .success(let status) where status.st_mode & S_IFMT == S_IFREG:
        if let string = String(validating: path, as: UTF8.self) {
          listing.files.append(FileStatus(path: string, status))
        } else {
          listing.unnameable.append(PercentEscape.shown(path))
        }
      case .success: break
      case .failure(let failure):
        // Deleted meanwhile, or a link that leads nowhere or in a circle: no file.
        if ![ENOENT, ELOOP, ENOTDIR].contains(failure.number) {
          listing.faults.append(ScanFault(path: PercentEscape.named(path), reason: message(failure.number)))
        }
      }
    }
    return errno == 0 ? nil : errno
  }

  private struct CallFailure: Error { let number: Int32 }

  /// Links are followed unless they lead to a folder, which then shows as the link.
  private static func status(_ folder: Int32, _ name: [UInt8]) -> Result<stat, CallFailure> {
    let text = name.map { CChar(bitPattern: $0) } + [0]
    var own = stat()
    guard fstatat(folder, text, &own, AT_SYMLINK_NOFOLLOW) == 0 else { return .failure(CallFailure(number: errno)) }
    guard own.st_mode & S_IFMT == S_IFLNK else { return .success(own) }
    var target = stat()
    guard fstatat(folder, text, &target, 0) == 0 else { return .failure(CallFailure(number: errno)) }
    return .success(target.st_mode & S_IFMT == S_IFDIR ? own : target)
  }

  private static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  static func withoutTrailingSlashes(_ path: String) -> String {
    var path = path
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
    return path
  }
}
