import DB
import Foundation

/// The database of a configuration: the lab's server, or a private cluster in the state directory.
final class DatabaseSession {
  private let url: String?
  private let cluster: EmbeddedCluster?
  /// The daemon stops the private cluster when it ends; a command only if it had to start it.
  private let isDaemon: Bool

  init(_ configuration: DaemonConfiguration, isDaemon: Bool = false) {
    self.isDaemon = isDaemon
    url = configuration.databaseURL
    guard url == nil else {
      cluster = nil
      return
    }
    var options = EmbeddedCluster.Options()
    options.binaries = configuration.postgresBinaries
    cluster = EmbeddedCluster(directory: configuration.stateDirectory + "/postgres", options: options)
  }

  /// For libpq.
  var conninfo: String { cluster?.conninfo ?? url ?? "" }

  /// Connects, starting the private cluster if it does not run, and brings the schema up to date. The daemon then works with
  /// the rights of `fgnet_daemon`, where that role is there: no change of the schema.
  func open() throws(DatabaseError) -> Record {
    try cluster?.start()
    let connection = try Connection(conninfo)
    try prepare(connection, makesRoles: cluster != nil)
    if isDaemon { try Access.workAsDaemon(connection) }
    return Record(connection)
  }

  /// Brings the schema and the roles' rights in it up to date.
  /// - Returns: names of the steps of the schema that were applied.
  @discardableResult
  func prepare(_ connection: Connection, makesRoles: Bool) throws(DatabaseError) -> [String] {
    let applied = try Migrator.embedded.migrate(connection)
    if makesRoles, try Access.state(connection) == .ownerOnly { try Access.makeRoles(connection) }
    try Access.grant(connection, always: !applied.isEmpty)
    return applied
  }

  /// Stops the private cluster if that is this session's to do.
  func close() throws(DatabaseError) {
    guard let cluster, cluster.isRunning, isDaemon || !cluster.isAdopted else { return }
    try cluster.stop()
  }
}
