import Foundation

extension DaemonCore {
  /// Makes the state directory.
  /// - Throws: a sentence, if it cannot be made or written to.
  static func prepare(stateDirectory: String) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: stateDirectory + "/sections", withIntermediateDirectories: true)
    } catch {
      throw OperatorError(
        "state directory \(stateDirectory) cannot be made: \(reason(error)); choose another with state_directory",
        status: .cannotCreate)
    }
    guard access(stateDirectory, W_OK) == 0 else {
      throw OperatorError(
        "state directory \(stateDirectory) is not writable for this user; change its owner or state_directory",
        status: .noPermission)
    }
  }

  private static func reason(_ error: any Error) -> String {
    let inner = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
    return inner.domain == NSPOSIXErrorDomain
      ? String(cString: strerror(Int32(inner.code))) : inner.localizedDescription
  }
}
