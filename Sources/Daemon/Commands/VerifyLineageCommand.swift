import ArgumentParser
import DB
import Domain

/// `fgnetd verify-lineage`: the log against the current tables.
struct VerifyLineageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-lineage",
    abstract: "Replay the log of segments and corrections, and compare the result with the current tables.",
    discussion: "Changes nothing, and may run beside the daemon.")

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption

  func run() throws {
    let configuration = try config.load()
    let names = volume.chosenOrAll(configuration)
    let wrong = try withRecord(configuration) { record in
      try names.reduce(0) { try $0 + Self.check(record, $1) { print($0) } }
    }
    if wrong > 0 {
      throw OperatorError(
        "the log and the tables differ in \(wrong) ways; stop the daemon and restore the database from a backup",
        status: .badData)
    }
  }

  /// Checks one volume and says what was found, a line each.
  /// - Returns: how many checks failed.
  static func check(_ record: Record, _ name: String, say: (String) -> Void) throws -> Int {
    let report = try record.checkLineage(volume: volumeRow(record, name).id)
    say(
      "volume \(name): \(report.operations) operations and \(report.events) events replayed, "
        + "\(report.fragments) fragments and \(report.edges) edges compared, \(report.faults.count) faults")
    for fault in report.faults { say("volume \(name): \(fault)") }
    return report.faults.count
  }
}
