import Foundation
import Web

extension DaemonCore {
  /// What shows this daemon over HTTP. Not started.
  func webServer(_ web: WebConfiguration) -> WebServer {
    let directory = configuration.stateDirectory
    return WebServer(
      web,
      source: WebServer.Source(
        conninfo: conninfo, stateDirectory: directory, folder: { directory + "/sections/" + $0 },
        status: { FileManager.default.contents(atPath: DaemonStatus.path(in: directory)) }),
      log: log)
  }
}
