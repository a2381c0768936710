import Glibc

/// System calls on files, with errors as `VolumeError`.
enum Files {
  static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  /// Folder part of a path; "." when it has none.
  static func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
  }

  /// Last part of a path.
  static func name(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.utf8.index(after: slash)...])
  }

  /// The hidden name, in the same folder, under which a file is written before it is renamed into place.
  static func temporary(for path: String) -> String {
    let name = name(of: path)
    return String(path.dropLast(name.count)) + "." + name + ".tmp"
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Puts the finished `temporary` in place of `path`, durably: file to disk, rename, folder to disk.
  static func commit(_ temporary: String, to path: String) throws(VolumeError) {
    do throws(VolumeError) {
      try sync(temporary, for: path)
      guard rename(temporary, path) == 0 else { throw VolumeError.writing(path, number: errno) }
      try sync(directory(of: path), for: path)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  private static func sync(_ path: String, for target: String) throws(VolumeError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw VolumeError.writing(target, number: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw VolumeError.writing(target, number: errno) }
  }

  /// Names in a folder, ascending by bytes, without "." and "..".
  static func names(in folder: String) throws(VolumeError) -> [String] {
    guard let stream = opendir(folder) else {
      throw .unreadable(path: folder, reason: message(errno))
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
      }
      if let name, name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw .unreadable(path: folder, reason: message(errno)) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
