import DB
import Foundation

/// The database of a configuration: the lab's server, or a private cluster in the state directory.
final class DatabaseSession {
  private let url: String?
  private let cluster: EmbeddedCluster?
  /// The daemon stops the private cluster when it ends; a command only if it had to start it.
  private let ownsCluster: Bool

  init(_ configuration: DaemonConfiguration, ownsCluster: Bool = false) {
    self.ownsCluster = ownsCluster
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

  /// Connects, starting the private cluster if it does not run, and brings the schema up to date.
  func open() throws(DatabaseError) -> Record {
    try cluster?.start()
    let connection = try Connection(conninfo)
    try Migrator.embedded.migrate(connection)
    return Record(connection)
  }

  /// Stops the private cluster if that is this session's to do.
  func close() throws(DatabaseError) {
    guard let cluster, cluster.isRunning, ownsCluster || !cluster.isAdopted else { return }
    try cluster.stop()
  }
}
