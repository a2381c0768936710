internal import Glibc
internal import Synchronization

/// A private PostgreSQL server in a directory of its own, reachable only through a Unix socket.
///
///     <directory>/data           the cluster
///     <directory>/socket         the socket, or a short path under /tmp if this one is too long
///     <directory>/postgres.log   what the server says, at most two files of `logLimit` bytes
///
/// A server that an earlier process left behind is used as it is, and stopped by `stop()` all the same.
/// Safe to use from several threads; calls wait for each other.
public final class EmbeddedCluster: Sendable {
  public struct Options: Sendable {
    /// Directory of PostgreSQL's programs; nil to look for them.
    public var binaries: String?
    /// Server settings besides those that make the cluster private, by name.
    public var settings: [String: String] = [:]
    /// Seconds to wait for a server to accept connections (after a crash it recovers first) or to stop.
    public var patience: Double = 60
    /// Bytes of one log file.
    public var logLimit = 4 << 20
    public init() {}
  }

  /// Absolute path of the cluster's directory.
  public let directory: String
  let options: Options
  private let state = Mutex(ServerState())

  /// Nothing is started or written yet.
  /// - Parameter directory: absolute path; made if absent. When this process is root, the server
  ///   runs as the user that it, or the directory around it, belongs to; it is given to the user postgres if that is root.
  public init(directory: String, options: Options = Options()) {
    self.directory = directory
    self.options = options
  }

  /// Makes the cluster if it is absent, starts the server if none runs, and waits until it accepts connections.
  /// Does nothing if it runs; call it again whenever the server may have died.
  /// - Returns: libpq's conninfo of the database `fgnet`.
  @discardableResult
  public func start() throws(DatabaseError) -> String {
    try state.withLock { (state) throws(DatabaseError) in
      let layout = ClusterLayout(directory: directory)
      if let running = state.pid, ClusterLayout.isAlive(running), let conninfo = state.conninfo {
        try layout.boundLog(options.logLimit)
        return conninfo
      }
      state = ServerState()
      let user = try ServerUser.needed(for: directory)
      try layout.prepare(user)
      let installation = try PostgresInstallation.find(configured: options.binaries, wanted: layout.dataVersion)
      if layout.dataVersion == nil { try layout.initialise(installation, user) } else { layout.removeHalfMade() }
      try layout.boundLog(options.logLimit)
      let server = ClusterServer(layout: layout, installation: installation, user: user, options: options)
      state = try server.ensureRunning()
      return state.conninfo ?? ""
    }
  }

  /// Whether the server process is there.
  public var isRunning: Bool { state.withLock { $0.pid.map { ClusterLayout.isAlive($0) } ?? false } }

  /// The server's process, if it was started or found.
  public var processID: Int32? { state.withLock { $0.pid } }

  /// Whether the last `start` found a server that another process had left.
  public var isAdopted: Bool { state.withLock { $0.isAdopted } }

  /// libpq's conninfo of the database `fgnet`; nil before `start`.
  public var conninfo: String? { state.withLock { $0.conninfo } }

  /// Stops the server: clients are cut off, everything committed is on disk.
  public func stop() throws(DatabaseError) {
    try state.withLock { (state) throws(DatabaseError) in
      guard let pid = state.pid ?? ClusterLayout(directory: directory).postmaster()?.pid else { return }
      state = ServerState()
      for (signal, seconds) in [(SIGINT, options.patience), (SIGQUIT, 10), (SIGKILL, 10)] {
        kill(pid, signal)
        if Waiting.until(seconds, { !ClusterLayout.isAlive(pid) }) { return }
      }
      throw .cluster("the private PostgreSQL server (process \(pid)) does not stop")
    }
  }
}

/// What is known of the server.
struct ServerState: Sendable {
  var pid: pid_t?
  var conninfo: String?
  var isAdopted = false
}

/// Waiting for another process.
enum Waiting {
  /// Looks every 10 ms.
  /// - Returns: whether the condition held within the time.
  static func until(_ seconds: Double, _ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      if condition() { return true }
      if ContinuousClock.now >= end { return false }
      usleep(10_000)
    }
  }
}
