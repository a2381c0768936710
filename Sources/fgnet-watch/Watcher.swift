import CInotifyTools
import Glibc

/// Watches folders and everything below them through libinotifytools. One thread only: the library keeps its state in
/// globals. Paths are bytes, since names need not be UTF-8.
final class Watcher {
  private static let mask =
    Int32(IN_CLOSE_WRITE) | Int32(IN_MOVED_TO) | Int32(IN_MOVED_FROM) | Int32(IN_CREATE) | Int32(IN_DELETE)
    | Int32(IN_DELETE_SELF) | Int32(IN_MOVE_SELF) | Int32(IN_ONLYDIR) | Int32(IN_EXCL_UNLINK)

  private var roots: [[UInt8]]
  private let descriptor: Int32
  /// Path of each live watch. The library's own map is not used: it keeps watches that the kernel has dropped.
  private var folders: [Int32: [UInt8]] = [:]
  private var lines = EventLines()
  private var limitReported = false

  init(roots: [[UInt8]]) throws(WatchFailure) {
    guard !roots.isEmpty else { throw WatchFailure("usage: fgnet-watch FOLDER...", status: 64) }
    self.roots = roots.map(Self.withoutTrailingSlashes)
    for root in self.roots { try Self.check(root) }
    guard inotifytools_initialize() != 0 else {
      throw WatchFailure(
        "inotify cannot be started (\(Self.message(inotifytools_error()))); if too many programs use it, raise "
          + "fs.inotify.max_user_instances with sysctl")
    }
    descriptor = try Self.inotifyDescriptor()
  }

  /// Prints events until standard input ends.
  func run() throws(WatchFailure) {
    for root in roots { watchTree(root) }
    lines.add("ready")
    try lines.flush()
    while true {
      // The library knows seconds only, and 0 means for ever; but it returns as soon as something happens, and whatever was
      // read is printed before it is asked to wait.
      if let event = inotifytools_next_event(1) {
        handle(event)
        if roots.isEmpty || lines.isLong || !isReadable(descriptor) { try lines.flush() }
      } else {
        try lines.flush()
      }
      if roots.isEmpty { throw WatchFailure("every watched folder is gone", status: 3) }
      if isReadable(0), try !parentIsThere() { return }
    }
  }

  private func isReadable(_ descriptor: Int32) -> Bool {
    var file = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&file, 1, 0) > 0
  }

  /// False when standard input has ended: the parent is gone, or wants no more.
  private func parentIsThere() throws(WatchFailure) -> Bool {
    var ignored = [UInt8](repeating: 0, count: 256)
    let got = read(0, &ignored, ignored.count)
    return got > 0 || (got < 0 && errno == EINTR)
  }

  // MARK: Events

  private func handle(_ event: UnsafeMutablePointer<inotify_event>) {
    let bits = Int32(bitPattern: event.pointee.mask)
    func has(_ flag: Int) -> Bool { bits & Int32(truncatingIfNeeded: flag) != 0 }
    if has(Int(IN_Q_OVERFLOW)) {
      // Folders made meanwhile may have no watch, moved ones another name.
      for root in roots { watchTree(root) }
      lines.add("overflow")
      return
    }
    guard let folder = folders[event.pointee.wd] else { return }
    if has(Int(IN_IGNORED)) { folders[event.pointee.wd] = nil }
    if has(Int(IN_DELETE_SELF)) || has(Int(IN_MOVE_SELF)) || has(Int(IN_UNMOUNT)) || has(Int(IN_IGNORED)) {
      if roots.contains(folder) { rootIsGone(folder) }
      return
    }
    let path = folder + [UInt8(ascii: "/")] + Self.name(event)
    if has(Int(IN_ISDIR)) {
      if has(Int(IN_DELETE)) || has(Int(IN_MOVED_FROM)) {
        forgetTree(path)
        lines.add("deleted", path)
      } else if has(Int(IN_CREATE)) || has(Int(IN_MOVED_TO)) {
        watchTree(path)
        lines.add("folder", path)
      }
      return
    }
    if has(Int(IN_CLOSE_WRITE)) { lines.add("closed", path) }
    if has(Int(IN_MOVED_TO)) { lines.add("moved", path) }
    if has(Int(IN_DELETE)) || has(Int(IN_MOVED_FROM)) { lines.add("deleted", path) }
  }

  /// The name follows the record; the C struct does not show it to Swift.
  private static func name(_ event: UnsafeMutablePointer<inotify_event>) -> [UInt8] {
    let start = UnsafeRawPointer(event) + MemoryLayout<inotify_event>.size
    return UnsafeRawBufferPointer(start: start, count: Int(event.pointee.len)).prefix { $0 != 0 }
  }

  private func rootIsGone(_ root: [UInt8]) {
    roots.removeAll { $0 == root }
    forgetTree(root)
    lines.add("folder-gone", root)
  }

  // MARK: Watches

  /// Watches a folder and those below it. Each is listed after its watch is set, so none is missed.
  private func watchTree(_ top: [UInt8]) {
    var open = [top]
    while let folder = open.popLast() {
      guard watch(folder) else { continue }
      open.append(contentsOf: subfolders(folder))
    }
  }

  private func watch(_ folder: [UInt8]) -> Bool {
    let path = folder.map { CChar(bitPattern: $0) } + [0]
    guard inotifytools_watch_file(path, Self.mask) != 0 else {
      report(inotifytools_error(), folder)
      return false
    }
    // Asked again, the kernel names the watch it has: the library does not tell its number.
    let number = inotify_add_watch(descriptor, path, UInt32(bitPattern: Self.mask))
    guard number >= 0 else {
      report(errno, folder)
      return false
    }
    folders[number] = folder
    return true
  }

  private func report(_ number: Int32, _ folder: [UInt8]) {
    switch number {
    case ENOENT, ENOTDIR:
      // Gone again already; its deletion is an event of its parent.
      if roots.contains(folder) { rootIsGone(folder) }
    case ENOSPC:
      guard !limitReported else { return }
      limitReported = true
      let now = inotifytools_get_max_user_watches()
      lines.add(
        "limit",
        Array("no more folders can be watched: raise fs.inotify.max_user_watches with sysctl, it is \(now)".utf8))
    default:
      lines.add("fault", folder + Array(" cannot be watched: \(Self.message(number))".utf8))
    }
  }

  private func subfolders(_ folder: [UInt8]) -> [[UInt8]] {
    guard let stream = opendir(folder.map { CChar(bitPattern: $0) } + [0]) else {
      if errno != ENOENT { lines.add("fault", folder + Array(" cannot be listed: \(Self.message(errno))".utf8)) }
      return []
    }
    defer { closedir(stream) }
    var found: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name == [0x2E] || name == [0x2E, 0x2E] { continue }
      let path = folder + [UInt8(ascii: "/")] + name
      // Symbolic links are not followed: they can lead in circles.
      if entry.pointee.d_type == UInt8(DT_DIR) || (entry.pointee.d_type == UInt8(DT_UNKNOWN) && Self.isFolder(path)) {
        found.append(path)
      }
    }
    return found
  }

  private func forgetTree(_ top: [UInt8]) {
    let prefix = top + [UInt8(ascii: "/")]
    for (number, path) in folders where path == top || path.starts(with: prefix) {
      _ = inotifytools_remove_watch_by_wd(number)
      folders[number] = nil
    }
  }

  // MARK: Helpers

  private static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  private static func isFolder(_ path: [UInt8]) -> Bool {
    var status = stat()
    return lstat(path.map { CChar(bitPattern: $0) } + [0], &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func withoutTrailingSlashes(_ path: [UInt8]) -> [UInt8] {
    var path = path
    while path.count > 1, path.last == UInt8(ascii: "/") { path.removeLast() }
    return path
  }

  private static func check(_ root: [UInt8]) throws(WatchFailure) {
    let path = root.map { CChar(bitPattern: $0) } + [0]
    let shown = String(decoding: root, as: UTF8.self)
    var status = stat()
    guard stat(path, &status) == 0 else { throw .call("folder \(shown)", errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw WatchFailure("\(shown) is not a folder") }
    guard access(path, R_OK | X_OK) == 0 else { throw .call("folder \(shown) cannot be read", errno) }
  }

  /// The library hides its descriptor; the kernel shows it.
  private static func inotifyDescriptor() throws(WatchFailure) -> Int32 {
    for number in Int32(3)..<1024 {
      var target = [CChar](repeating: 0, count: 64)
      guard readlink("/proc/self/fd/\(number)", &target, 63) > 0 else { continue }
      if target.withUnsafeBufferPointer({ strcmp($0.baseAddress!, "anon_inode:inotify") == 0 }) { return number }
    }
    throw WatchFailure("the inotify descriptor is not in /proc/self/fd; is /proc mounted?")
  }
}
