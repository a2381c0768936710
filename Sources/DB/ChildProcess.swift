internal import CPostgres
internal import Glibc

/// The user that PostgreSQL runs as when the daemon is root, which PostgreSQL refuses.
struct ServerUser: Sendable, Equatable {
  var uid: uid_t
  var gid: gid_t
  var groups: [gid_t]

  /// Nil unless this process is root. Else the user that the cluster's directory belongs to, or the one it will be made in, so
  /// that root can give commands to a daemon of another account; the user postgres where these are root's.
  static func needed(for directory: String) throws(DatabaseError) -> ServerUser? {
    guard geteuid() == 0 else { return nil }
    var info = stat()
    let parent = directory.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    let isThere = stat(directory, &info) == 0 || stat(parent, &info) == 0
    let owner = isThere && info.st_uid != 0 ? getpwuid(info.st_uid) : nil
    guard let entry = owner ?? getpwnam("postgres") else {
      throw .cluster("running as root, a private cluster needs the user postgres: install the package postgresql")
    }
    var count: Int32 = 64
    var groups = [gid_t](repeating: 0, count: 64)
    guard getgrouplist(entry.pointee.pw_name, entry.pointee.pw_gid, &groups, &count) >= 0 else {
      return ServerUser(uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid, groups: [entry.pointee.pw_gid])
    }
    return ServerUser(uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid, groups: Array(groups.prefix(Int(count))))
  }
}

/// Programs started by the cluster, without a shell and with a bare environment.
enum ChildProcess {
  /// Starts a program; its output goes to the file descriptor.
  static func start(
    _ path: String, _ arguments: [String], output: Int32, as user: ServerUser?
  ) throws(DatabaseError) -> pid_t {
    let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"]
    let pid = withCStrings([path] + arguments) { argv in
      withCStrings(environment) { envp in
        let argv = argv.map { UnsafeMutablePointer(mutating: $0) }
        let envp = envp.map { UnsafeMutablePointer(mutating: $0) }
        let groups = user?.groups ?? []
        return cpostgres_spawn(
          path, argv, envp, output, user == nil ? 0 : 1, user?.uid ?? 0, user?.gid ?? 0, groups, groups.count)
      }
    }
    guard pid > 0 else { throw .cluster("\(path) cannot be started: \(String(cString: strerror(errno)))") }
    return pid
  }

  /// Runs a program to its end and returns what it wrote (at most 64 KiB) and its exit status.
  static func capture(
    _ path: String, _ arguments: [String], as user: ServerUser?
  ) throws(DatabaseError) -> (status: Int32, output: String) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw .cluster("no pipe: \(String(cString: strerror(errno)))") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    let pid: pid_t
    do {
      pid = try start(path, arguments, output: ends[1], as: user)
    } catch {
      close(ends[1])
      throw error
    }
    close(ends[1])
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(ends[0], &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { break }
      output += chunk[0..<count]
      if output.count > 65_536 { output.removeFirst(output.count - 65_536) }
    }
    return (wait(for: pid), String(decoding: output, as: UTF8.self))
  }

  /// Waits for a child's end: its exit status, or 128 + the signal.
  static func wait(for pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      if errno != EINTR { return -1 }
    }
    return exitCode(status)
  }

  static func exitCode(_ status: Int32) -> Int32 {
    status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}
