import ArgumentParser
import Foundation
import Logging
import Synchronization
import Web

/// `fgnetd run`: the daemon.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the daemon: watch the folders of the configuration until told to stop.",
    discussion: "SIGHUP (systemctl reload) has it read the configuration anew; SIGTERM or SIGINT ends it.")

  @OptionGroup var config: ConfigurationOption

  func run() throws {
    let configuration = try config.load()
    // One whose mount hangs is told of by the intake, which waits for it; what was taken in before goes on meanwhile.
    try checkFolders(configuration, mayBeSilent: true)
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
    let known = try core.knownFiles()
    let intakes = try configuration.volumes.map { volume in
      try IntakeThread(
        volume, configuration.intake, known: known, setAside: core.openQuarantine, inbox: inbox, log: log)
    }
    for intake in intakes { intake.start() }
    defer { IntakeThread.stop(intakes) }
    // Ready means that a section may be dropped.
    IntakeThread.waitForFirstLook(intakes)
    log.info("fgnetd \(Version.current) watches \(configuration.volumes.map(\.folder).joined(separator: ", "))")
    try core.run()
    log.info("stopped")
  }
}

/// Faults of the watched folders that are better told before anything starts.
/// - Parameter mayBeSilent: a folder that does not answer is no fault.
func checkFolders(_ configuration: DaemonConfiguration, mayBeSilent: Bool = false) throws {
  for volume in configuration.volumes {
    switch FolderCheck.check(volume.folder, seconds: 10) {
    case .good: break
    case .absent:
      throw OperatorError(
        "the folder \(volume.folder) of volume \(volume.name) does not exist; make it or mount it, then start again",
        status: .noInput)
    case .forbidden:
      throw OperatorError(
        "the folder \(volume.folder) of volume \(volume.name) is not readable for this user; change its permissions",
        status: .noPermission)
    case .silent:
      if mayBeSilent { continue }
      throw OperatorError(
        "the folder \(volume.folder) of volume \(volume.name) does not answer; mend its mount", status: .noInput)
    }
  }
}

/// Looks at a folder from a thread of its own, which a mount that does not answer may keep.
final class FolderCheck: Sendable {
  enum Outcome { case good, absent, forbidden, silent }

  private let outcome = Mutex<Outcome?>(nil)
  private let done = DispatchSemaphore(value: 0)

  static func check(_ folder: String, seconds: Double) -> Outcome {
    let check = FolderCheck()
    let thread = Thread {
      var status = stat()
      let isFolder = stat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
      let found: Outcome = !isFolder ? .absent : access(folder, R_OK | X_OK) == 0 ? .good : .forbidden
      check.outcome.withLock { $0 = found }
      check.done.signal()
    }
    thread.start()
    _ = check.done.wait(timeout: .now() + seconds)
    return check.outcome.withLock { $0 } ?? .silent
  }
}
