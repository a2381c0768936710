import Web

extension DaemonCore {
  /// What shows this daemon over HTTP. Not started.
  func webServer(_ web: WebConfiguration) -> WebServer {
    let directory = configuration.stateDirectory
    return WebServer(
      web,
      source: WebServer.Source(
        conninfo: conninfo, stateDirectory: directory, folder: { directory + "/sections/" + $0 },
        status: { DaemonStatus.read(from: directory) }),
      log: log)
  }
}
