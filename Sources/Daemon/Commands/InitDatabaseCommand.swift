import ArgumentParser
import DB
import Foundation

/// `fgnetd init-database`: the schema and the roles on a lab's server, by the one who owns them.
struct InitDatabaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init-database",
    abstract: "Make or update the schema and the roles on a server of the lab.",
    discussion: """
      Run it as the owner of the database, once and after each new version of fgnetd; the daemon then needs no more than \
      membership in fgnet_daemon. If the owner may not make roles, the SQL for whoever may is printed. A private database \
      does all this by itself.
      """)

  @OptionGroup var config: ConfigurationOption
  @Option(help: "The owner's connection, as libpq takes it; without it, `database.url` of the configuration.")
  var url: String?
  @Flag(help: "Only print the SQL that makes the roles.") var printRoles = false

  func run() throws {
    if printRoles {
      print(Access.roles, terminator: "")
      return
    }
    var configuration = try config.load()
    if let url { configuration.databaseURL = url }
    guard let place = configuration.databaseURL else {
      throw OperatorError(
        "the configuration names no server (database.url): a private database needs no init-database", status: .usage)
    }
    let connection = try Connection(place)
    let session = DatabaseSession(configuration)
    let mayMakeRoles = try Access.mayMakeRoles(connection)
    let applied = try session.prepare(connection, makesRoles: mayMakeRoles)
    print(applied.isEmpty ? "the schema is up to date" : "schema steps applied: \(applied.joined(separator: ", "))")
    switch try Access.state(connection) {
    case .guarded:
      print("the roles are there, and rows are guarded by volume: grant fgnet_daemon to the daemon's account")
    case .unguarded:
      print(
        """
        the roles are there, but every reader sees all volumes: have a superuser say \
        `alter role fgnet_daemon bypassrls`, then repeat this command
        """)
    case .ownerOnly:
      print(
        """
        the roles are not there, and this user may not make them: until a superuser has run what \
        `fgnetd init-database --print-roles` prints, and this command was repeated, only this user can use the database
        """)
    }
  }
}
