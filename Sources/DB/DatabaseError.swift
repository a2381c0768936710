/// What went wrong with the database. Descriptions are one line, without connection strings and parameters.
public enum DatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No connection could be made; the text is libpq's.
  case connectionFailed(String)
  /// The connection broke; whatever transaction was open is undone.
  case connectionLost(String)
  /// The server refused a statement.
  case server(sqlstate: String, message: String)
  /// A result was not what the statement should give.
  case unexpected(String)
  /// What was asked contradicts what is recorded; nothing was changed.
  case conflict(String)
  /// The schema cannot be used by this program.
  case schema(String)
  /// The private cluster cannot be made, started or stopped.
  case cluster(String)

  /// Whether the same call can succeed later without anybody changing the program or its configuration.
  public var isTransient: Bool {
    switch self {
    case .connectionFailed, .connectionLost: true
    case .server(let state, _):
      state.hasPrefix("08") || state.hasPrefix("57P0") || state.hasPrefix("53") || state.hasPrefix("40")
        || state == "25006" || state == Self.lockNotAvailable || state == "58030"
    case .unexpected, .conflict, .schema, .cluster: false
    }
  }

  /// Whether it is the private cluster that cannot be made, started or stopped.
  public var isOfCluster: Bool { if case .cluster = self { true } else { false } }

  /// Whether this program cannot use the schema that is there.
  public var isOfSchema: Bool { if case .schema = self { true } else { false } }

  private static let lockNotAvailable = "55P03"

  /// The server's code for the failure, if it came from the server.
  public var sqlstate: String? {
    if case .server(let state, _) = self { return state }
    return nil
  }

  public var description: String {
    switch self {
    case .connectionFailed(let reason): "no connection to PostgreSQL: \(reason)"
    case .connectionLost(let reason): "connection to PostgreSQL lost: \(reason)"
    case .server(Self.lockNotAvailable, _):
      "another session holds a lock on what is to be read or written; it is among those of pg_stat_activity"
    case .server(let state, let message): "PostgreSQL refused a statement (\(state)): \(message)"
    case .unexpected(let what): "unexpected answer of PostgreSQL: \(what)"
    case .conflict(let what): what
    case .schema(let what): what
    case .cluster(let what): what
    }
  }
}

/// The text of a C message on one line.
func oneLine(_ text: String) -> String {
  text.split { $0.isNewline || $0 == "\t" }.map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }.joined(separator: "; ")
}
