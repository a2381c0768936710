/// What a step of work came to.
enum Progress: Equatable, Sendable {
  /// Something was done; there may be more.
  case worked
  /// Nothing can be done before work that was handed out ends.
  case waiting
  /// Nothing is left to do with what has come so far.
  case idle
}
