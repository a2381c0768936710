/// Exit statuses of the program, after sysexits.h where it has one.
enum ExitStatus: Int32, Sendable {
  case success = 0
  case failure = 1
  case usage = 64
  case badData = 65
  case noInput = 66
  case unavailable = 69
  case cannotCreate = 73
  case noPermission = 77
  case configuration = 78
}

/// A failure that ends a command: one line for the operator and an exit status.
struct OperatorError: Error, Sendable, CustomStringConvertible {
  var description: String
  var status: ExitStatus
  init(_ description: String, status: ExitStatus = .failure) {
    self.description = description
    self.status = status
  }
}
