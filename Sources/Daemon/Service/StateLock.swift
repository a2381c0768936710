import Foundation

/// Keeps a second daemon out of a state directory. The kernel drops it when its holder dies.
final class StateLock {
  private var descriptor: Int32

  init(_ stateDirectory: String) throws {
    try DaemonCore.prepare(stateDirectory: stateDirectory)
    let path = stateDirectory + "/lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw OperatorError("\(path) cannot be opened: \(String(cString: strerror(errno)))", status: .cannotCreate)
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      descriptor = -1
      throw OperatorError(
        "another fgnetd runs on \(stateDirectory); stop it first, or use another state_directory", status: .unavailable)
    }
  }

  func release() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }
}
