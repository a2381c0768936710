internal import FoundationEssentials
internal import Glibc

/// The files of a private cluster.
struct ClusterLayout: Sendable {
  let directory: String
  var data: String { directory + "/data" }
  var log: String { directory + "/postgres.log" }

  /// Directory of the socket: short enough for the kernel's limit of 107 bytes.
  var socket: String {
    let near = directory + "/socket"
    if Self.fits(near) { return near }
    let name = "fgnet-" + sha256(Array(directory.utf8)).prefix(16)
    if geteuid() != 0, let runtime = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), !runtime.isEmpty,
      Self.fits("\(runtime)/\(name)")
    {
      return "\(runtime)/\(name)"
    }
    return "/tmp/\(name)"
  }

  private static func fits(_ directory: String) -> Bool { (directory + "/.s.PGSQL.5432").utf8.count <= 107 }

  /// Major version that made the data directory; nil if there is none.
  var dataVersion: Int? {
    guard let bytes = FileManager.default.contents(atPath: data + "/PG_VERSION") else { return nil }
    return Int(String(decoding: bytes, as: UTF8.self).filter(\.isNumber))
  }

  /// Makes the directories, owned by the server's user and closed to others.
  func prepare(_ user: ServerUser?) throws(DatabaseError) {
    guard directory.hasPrefix("/") else {
      throw .cluster("the cluster's directory \(directory) is not an absolute path")
    }
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw .cluster("the cluster's directory \(directory) cannot be made: \(Self.lastFault)")
    }
    try own(directory, user, makeIfAbsent: false)
    try own(socket, user, makeIfAbsent: true)
    guard access(directory, W_OK) == 0 else { throw .cluster("the cluster's directory \(directory) is not writable") }
  }

  /// A directory under /tmp could be another user's trap: it must be a directory, ours, and closed.
  private func own(_ path: String, _ user: ServerUser?, makeIfAbsent: Bool) throws(DatabaseError) {
    if makeIfAbsent, mkdir(path, 0o700) != 0, errno != EEXIST {
      throw .cluster("\(path) cannot be made: \(Self.lastFault)")
    }
    var info = stat()
    guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR else {
      throw .cluster("\(path) is not a directory: move it away")
    }
    let owner = user?.uid ?? geteuid()
    if info.st_uid != owner {
      guard geteuid() == 0, info.st_uid == 0, let user, lchown(path, user.uid, user.gid) == 0 else {
        throw .cluster("\(path) belongs to user \(info.st_uid), not to user \(owner): give it to that user")
      }
    }
    guard info.st_mode & 0o777 == 0o700 || chmod(path, 0o700) == 0 else {
      throw .cluster("\(path) cannot be closed to other users: \(Self.lastFault)")
    }
  }

  /// Makes the cluster beside its place and moves it there, so that a half-made one is never used. One program at a time;
  /// an initdb that outlived its program works in a directory of its own name, which is removed.
  func initialise(_ installation: PostgresInstallation, _ user: ServerUser?) throws(DatabaseError) {
    let lock = open(directory + "/initdb.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
      throw .cluster("\(directory)/initdb.lock cannot be locked: \(Self.lastFault)")
    }
    defer { close(lock) }
    guard dataVersion == nil else { return }
    let fresh = directory + "/data.new-\(getpid())"
    removeHalfMade()
    if FileManager.default.fileExists(atPath: data), rmdir(data) != 0 {
      throw .cluster("\(data) is not a PostgreSQL cluster and not empty: move it away")
    }
    let run = try ChildProcess.capture(
      installation.binaries + "/initdb",
      [
        "--pgdata=\(fresh)", "--username=fgnet", "--encoding=UTF8", "--locale=C", "--data-checksums",
        "--auth-local=trust", "--auth-host=reject", "--no-instructions",
      ], as: user)
    guard run.status == 0 else {
      let said = run.output.split(separator: "\n").first { $0.contains("error:") || $0.contains("FATAL") }
      let hint =
        run.output.contains("ermission denied") && user != nil
        ? " (the user postgres must be able to reach \(directory))" : ""
      throw .cluster("initdb failed in \(directory): \(oneLine(String(said ?? "exit status \(run.status)")))\(hint)")
    }
    guard rename(fresh, data) == 0 else { throw .cluster("\(fresh) cannot be renamed: \(Self.lastFault)") }
  }

  /// Removes clusters that were not made to the end. What an orphaned initdb makes meanwhile goes at the next start.
  func removeHalfMade() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    for name in names.sorted() where name.hasPrefix("data.new") {
      try? FileManager.default.removeItem(atPath: directory + "/" + name)
    }
  }

  /// Keeps the log to two files of `limit` bytes. The server appends, so the file is copied and emptied under it.
  func boundLog(_ limit: Int) throws(DatabaseError) {
    var info = stat()
    guard stat(log, &info) == 0, info.st_size > limit else { return }
    let end = log + ".1"
    _ = unlink(end)
    do {
      try FileManager.default.copyItem(atPath: log, toPath: end)
    } catch {
      throw .cluster("\(log) cannot be copied: \(Self.lastFault)")
    }
    guard truncate(log, 0) == 0 else { throw .cluster("\(log) cannot be emptied: \(Self.lastFault)") }
    if info.st_size > 2 * limit { _ = truncate(end, off_t(limit)) }
  }

  /// The last lines of the log from a byte on.
  func logTail(from offset: Int) -> String {
    guard let bytes = FileManager.default.contents(atPath: log) else { return "" }
    return String(decoding: bytes.dropFirst(min(offset, bytes.count)).suffix(8192), as: UTF8.self)
  }

  var logSize: Int {
    var info = stat()
    return stat(log, &info) == 0 ? Int(info.st_size) : 0
  }

  /// The server that runs in the data directory, whoever started it, and the directory of its socket.
  func postmaster() -> (pid: pid_t, socket: String)? {
    guard let bytes = FileManager.default.contents(atPath: data + "/postmaster.pid") else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 5, let pid = pid_t(lines[0]), pid > 1, Self.isAlive(pid) else { return nil }
    // The pid may be another program's by now: a postmaster's working directory is its data directory.
    guard let there = Self.target("/proc/\(pid)/cwd"), Self.isSame(there, data) else { return nil }
    return (pid, String(lines[4]))
  }

  private static func target(_ link: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: link)
  }

  private static func isSame(_ a: String, _ b: String) -> Bool {
    var left = stat()
    var right = stat()
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_ino == right.st_ino && left.st_dev == right.st_dev
  }

  /// Whether a process runs; reaps it if it was a child of ours.
  static func isAlive(_ pid: pid_t) -> Bool {
    var status: Int32 = 0
    if waitpid(pid, &status, WNOHANG) == pid { return false }
    return kill(pid, 0) == 0 || errno == EPERM
  }

  private static var lastFault: String { String(cString: strerror(errno)) }
}
