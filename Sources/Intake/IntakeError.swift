/// A failure of the intake, in words for the operator.
public enum IntakeError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file pattern of the configuration cannot be used.
  case badPattern(pattern: String, reason: String)
  /// The watcher program cannot be started or talked to.
  case watcher(program: String, reason: String)

  public var description: String {
    switch self {
    case .badPattern(let pattern, let reason):
      "the file pattern \"\(pattern)\" cannot be used: \(reason); correct it in the configuration"
    case .watcher(let program, let reason):
      "the watcher \(program) fails: \(reason); until it runs, new files are found by the periodic scan only"
    }
  }
}
