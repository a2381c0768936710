import ArgumentParser
import Foundation
import Web

/// `fgnetd wait`: returns when the daemon has nothing left to do.
struct WaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait until the running daemon has nothing left to do; for scripts.")

  @OptionGroup var config: ConfigurationOption
  @Option(help: "Wait also until so many sections have been taken in or set aside.") var sections = 0
  @Flag(help: "Wait also until every section is final.") var final = false
  @Option(help: "Give up after so many seconds.") var timeout = 3600.0

  func run() throws {
    let configuration = try config.load()
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(timeout)
    while clock.now < deadline {
      guard let status = DaemonStatus.read(from: configuration.stateDirectory), status.isAlive else {
        throw OperatorError(
          "no daemon runs on \(configuration.stateDirectory); start it with `fgnetd run`", status: .unavailable)
      }
      if isDone(status) { return }
      usleep(50_000)  // status.json is replaced by rename: there is no event to wait for that outlives the file
    }
    throw OperatorError("the daemon was still at work after \(timeout) s; see `fgnetd status`", status: .unavailable)
  }

  private func isDone(_ status: DaemonStatus) -> Bool {
    let taken = status.volumes.reduce(status.setAside) {
      $0 + $1.received + $1.provisional + $1.final + $1.sectionsSetAside
    }
    let open = status.volumes.reduce(0) { $0 + $1.received + $1.provisional }
    return status.isIdle && taken >= sections && (!final || open == 0)
  }
}
