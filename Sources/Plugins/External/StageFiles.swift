import Glibc

/// Whether a file with code may be loaded into the daemon.
enum StageFiles {
  /// The real path of a library that lies in one of the folders and that nobody but root and the daemon's user can change.
  /// - Throws: a sentence.
  static func trusted(_ path: String, folders: [String]) throws(CommandFault) -> String {
    guard let real = resolved(path) else {
      throw CommandFault("\(path) is not there: \(String(cString: strerror(errno)))")
    }
    guard !folders.isEmpty else {
      throw CommandFault(
        "\(path) is not loaded: no stage_folders are configured; name the folder it may be loaded from")
    }
    let homes = folders.compactMap(resolved)
    guard let home = homes.first(where: { real.hasPrefix($0 == "/" ? $0 : $0 + "/") }) else {
      let elsewhere = real == path ? "" : " (it is \(real))"
      throw CommandFault(
        "\(path)\(elsewhere) is in none of the stage_folders \(folders.joined(separator: ", ")); move it there, or add its folder"
      )
    }
    // The file, and every folder that leads to it from the configured one on.
    try check(real, isFile: true)
    var folder = parent(real)
    while folder.utf8.count >= home.utf8.count {
      try check(folder, isFile: false)
      if folder == "/" { break }
      folder = parent(folder)
    }
    return real
  }

  private static func check(_ path: String, isFile: Bool) throws(CommandFault) {
    var info = stat()
    guard lstat(path, &info) == 0 else {
      throw CommandFault("\(path) cannot be looked at: \(String(cString: strerror(errno)))")
    }
    if isFile, info.st_mode & S_IFMT != S_IFREG { throw CommandFault("\(path) is not a file") }
    guard info.st_uid == 0 || info.st_uid == geteuid() else {
      throw CommandFault(
        "\(path) belongs to the user \(info.st_uid); give it to root (chown root) so that nobody else can change it")
    }
    guard info.st_mode & 0o022 == 0 else {
      throw CommandFault("\(path) can be written to by its group or by everybody; take that away (chmod go-w)")
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
  }

  private static func parent(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "/" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
