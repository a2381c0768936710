import ArgumentParser
import Foundation
import Logging
import Web

/// `fgnetd run`: the daemon.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the daemon: watch the folders of the configuration until told to stop.",
    discussion: "SIGHUP (systemctl reload) has it read the configuration anew; SIGTERM or SIGINT ends it.")

  @OptionGroup var config: ConfigurationOption

  func run() throws {
    let configuration = try config.load()
    try checkFolders(configuration)
    let log = Logger.program()
    let inbox = Inbox()
    let lock = try StateLock(configuration.stateDirectory)
    defer { lock.release() }
    let core = try DaemonCore(configuration: configuration, inbox: inbox, log: log)
    ProgramSignals.handle(onStop: { inbox.stop() }, onReload: { inbox.askForReload() })
    try core.open()
    defer { core.close() }
    core.logProcessor()
    let web = configuration.web.map { core.webServer($0) }
    web?.start()
    defer { web?.stop() }
    let intake = try IntakeThread(configuration: configuration, known: core.knownFiles(), inbox: inbox, log: log)
    intake.start()
    defer { intake.stop() }
    // Ready means that a section may be dropped.
    intake.waitForFirstLook()
    log.info("fgnetd \(Version.current) watches \(configuration.volumes.map(\.folder).joined(separator: ", "))")
    try core.run()
    log.info("stopped")
  }
}

/// Faults of the watched folders that are better told before anything starts.
func checkFolders(_ configuration: DaemonConfiguration) throws {
  for volume in configuration.volumes {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: volume.folder, isDirectory: &isFolder), isFolder.boolValue else {
      throw OperatorError(
        "the folder \(volume.folder) of volume \(volume.name) does not exist; make it or mount it, then start again",
        status: .noInput)
    }
    guard access(volume.folder, R_OK | X_OK) == 0 else {
      throw OperatorError(
        "the folder \(volume.folder) of volume \(volume.name) is not readable for this user; change its permissions",
        status: .noPermission)
    }
  }
}
