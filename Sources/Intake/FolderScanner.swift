import Glibc

/// What a folder held when it was listed.
public struct FolderListing: Sendable, Equatable {
  /// Device the folder lies on: another one than before tells a mount that came or went.
  public var device: UInt64
  /// Regular files, ascending by the bytes of their paths.
  public var files: [FileStatus]
  /// Paths of files whose names are not UTF-8, such bytes as %XX.
  public var unnameable: [String]
  /// What could not be listed, in sentences. If there are any, `files` may lack some.
  public var faults: [String]

  public init(device: UInt64, files: [FileStatus], unnameable: [String] = [], faults: [String] = []) {
    self.device = device
    self.files = files
    self.unnameable = unnameable
    self.faults = faults
  }
}

/// The outcome of a scan.
public enum ScanResult: Sendable, Equatable {
  case listing(FolderListing)
  /// The folder itself cannot be listed: deleted, unmounted, forbidden. Says nothing about its files.
  case vanished(reason: String)
}

/// Lists folders.
public enum FolderScanner {
  /// Lists the files of a folder. Symbolic links to files are followed, to folders not; everything but regular files
  /// is left out. Errors are in the result.
  public static func scan(_ folder: String, recursive: Bool) -> ScanResult {
    var status = stat()
    guard stat(folder, &status) == 0 else { return .vanished(reason: "\(folder): \(message(errno))") }
    guard status.st_mode & S_IFMT == S_IFDIR else { return .vanished(reason: "\(folder) is not a folder") }
    var listing = FolderListing(device: UInt64(status.st_dev), files: [])
    var open = [Array(withoutTrailingSlashes(folder).utf8)]
    var first = true
    while let next = open.popLast() {
      if let number = list(next, into: &listing, subfolders: recursive ? { open.append($0) } : { _ in }) {
        let sentence = "\(PercentEscape.shown(next)) cannot be listed: \(message(number))"
        if first { return .vanished(reason: sentence) }
        // A subfolder deleted meanwhile has no files that could be missed.
        if number != ENOENT { listing.faults.append(sentence) }
      }
      first = false
    }
    listing.files.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    listing.unnameable.sort()
    return .listing(listing)
  }

  /// Lists one folder; returns the errno of a failure.
  private static func list(
    _ folder: [UInt8], into listing: inout FolderListing, subfolders: ([UInt8]) -> Void
  ) -> Int32? {
    guard let stream = opendir(folder.map { CChar(bitPattern: $0) } + [0]) else { return errno }
    defer { closedir(stream) }
    let place = dirfd(stream)
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      defer { errno = 0 }
      if name == [0x2E] || name == [0x2E, 0x2E] { continue }
      let path = folder + [UInt8(ascii: "/")] + name
      var status = stat()
      let text = name.map { CChar(bitPattern: $0) } + [0]
      guard fstatat(place, text, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        subfolders(path)
        continue
      }
      if status.st_mode & S_IFMT == S_IFLNK, fstatat(place, text, &status, 0) != 0 { continue }
      guard status.st_mode & S_IFMT == S_IFREG else { continue }
      if let string = String(validating: path, as: UTF8.self) {
        listing.files.append(FileStatus(path: string, status))
      } else {
        listing.unnameable.append(PercentEscape.shown(path))
      }
    }
    return errno == 0 ? nil : errno
  }

  private static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  static func withoutTrailingSlashes(_ path: String) -> String {
    var path = path
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
    return path
  }
}
