internal import Glibc

/// Starting the server of a private cluster, or finding one that runs.
struct ClusterServer: Sendable {
  let layout: ClusterLayout
  let installation: PostgresInstallation
  let user: ServerUser?
  let options: EmbeddedCluster.Options

  func ensureRunning() throws(DatabaseError) -> ServerState {
    let end = ContinuousClock.now + .seconds(options.patience)
    while true {
      if let found = layout.postmaster() {
        if let state = try ready(found.pid, isAdopted: true, until: end) { return state }
      } else {
        try removeStaleLock()
        let offset = layout.logSize
        let pid = try launch()
        if let state = try ready(pid, isAdopted: false, until: end) { return state }
        try explain(layout.logTail(from: offset), mayRetry: ContinuousClock.now < end)
      }
      usleep(50_000)
    }
  }

  /// Waits until the server answers; nil if it ended.
  private func ready(
    _ pid: pid_t, isAdopted: Bool, until end: ContinuousClock.Instant
  ) throws(DatabaseError) -> ServerState? {
    var reason = "no answer"
    while ContinuousClock.now < end {
      guard ClusterLayout.isAlive(pid) else { return nil }
      // A server found may use another socket than this program would; a starting one has not written it yet.
      let written = isAdopted ? layout.postmaster()?.socket ?? "" : ""
      do {
        let conninfo = try database(written.isEmpty ? layout.socket : written)
        return ServerState(pid: pid, conninfo: conninfo, isAdopted: isAdopted)
      } catch {
        guard error.isTransient else { throw error }
        reason = error.description
      }
      usleep(10_000)
    }
    throw .cluster("the private PostgreSQL server did not become ready in \(Int(options.patience)) s: \(reason)")
  }

  /// Makes the database `fgnet` if it is absent.
  private func database(_ socket: String) throws(DatabaseError) -> String {
    let place = "host='\(Self.quoted(socket))' port=5432 user=fgnet"
    let connection = try Connection(place + " dbname=postgres")
    if try connection.execute("select from pg_database where datname = 'fgnet'").count == 0 {
      try connection.execute("create database fgnet template template0")
    }
    return place + " dbname=fgnet"
  }

  private static func quoted(_ text: String) -> String {
    text.reduce(into: "") { $0 += $1 == "'" || $1 == "\\" ? "\\\($1)" : String($1) }
  }

  /// A lock file whose process is not this cluster's server would stop it from starting when the pid is in use again.
  private func removeStaleLock() throws(DatabaseError) {
    let lock = layout.data + "/postmaster.pid"
    guard access(lock, F_OK) == 0 else { return }
    guard unlink(lock) == 0 else {
      throw .cluster("the stale lock file \(lock) cannot be removed: \(String(cString: strerror(errno)))")
    }
  }

  private func launch() throws(DatabaseError) -> pid_t {
    let output = open(layout.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard output >= 0 else {
      throw .cluster("\(layout.log) cannot be written: \(String(cString: strerror(errno)))")
    }
    defer { close(output) }
    if let user { fchown(output, user.uid, user.gid) }
    var settings = [
      "listen_addresses": "", "port": "5432", "unix_socket_directories": "\"\(layout.socket)\"",
      "unix_socket_permissions": "0700", "logging_collector": "off", "log_destination": "stderr",
      "log_line_prefix": "%m [%p] ", "log_min_messages": "warning", "log_min_error_statement": "panic",
      "log_parameter_max_length": "0", "max_connections": "32", "shared_buffers": "256MB", "cluster_name": "fgnet",
      // Compiling a query takes longer than any of those that are asked here.
      "jit": "off",
      // A commit of a large section writes tens of megabytes: pages are written out beside it, and checkpoints do not follow each other.
      "bgwriter_delay": "50ms", "bgwriter_lru_maxpages": "1000", "max_wal_size": "2GB",
    ]
    settings.merge(options.settings) { kept, given in kept == given ? kept : given }
    settings["listen_addresses"] = ""
    let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
    return try ChildProcess.start(
      installation.binaries + "/postgres", ["-D", layout.data] + arguments, output: output, as: user)
  }

  /// Throws with the server's own words, unless its predecessor's processes are only just ending.
  private func explain(_ log: String, mayRetry: Bool) throws(DatabaseError) {
    if mayRetry && (log.contains("shared memory block") || log.contains("already exists")) { return }
    let lines = log.split(separator: "\n")
    let said = lines.last { $0.contains("FATAL:") || $0.contains("PANIC:") } ?? lines.last ?? "it said nothing"
    throw .cluster("the private PostgreSQL server in \(layout.directory) ended at once: \(oneLine(String(said)))")
  }
}
