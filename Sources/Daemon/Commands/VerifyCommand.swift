import ArgumentParser
import DB
import Domain
import Foundation
import Logging
import Volumes

/// `fgnetd verify`: the files of the store against the rows; with --lineage, the log against the rows.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Compare every file of the store with the database, and make damaged or lost ones again.",
    discussion: """
      Every file is read whole: it must be there, its checksums must hold, and its fragments and contacts must be those of the \
      rows. Without --repair it may run beside the daemon. With it, damaged files are made again from the section as it was taken \
      in, and that from the microscope's file; what cannot be made again as it was is put back and named.

      With --lineage no file is read: the log of segments and corrections is replayed from nothing, and the result compared with \
      the current tables. Changes nothing, and may run beside the daemon.
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Flag(help: "Make what is damaged or lost again; the daemon must not run.") var repair = false
  @Flag(help: "Replay the log of segments and corrections, and compare the result with the current tables.")
  var lineage = false

  func validate() throws {
    if lineage && repair { throw ValidationError("--repair is for files; it does not go with --lineage.") }
  }

  func run() throws {
    let configuration = try config.load()
    let names = volume.chosenOrAll(configuration)
    if lineage {
      try verifyLineage(configuration, names)
    } else if repair {
      let lock = try StateLock(configuration.stateDirectory)
      defer { lock.release() }
      let repair = try StoreRepair(
        configuration, damaged: faults(configuration, names).byVolume, log: .program(quiet: true))
      try repair.perform()
      let left = try faults(configuration, names)
      try repair.conclude(left: left.byVolume).forEach { print($0) }
      try conclude(left.lines, hint: "put them back from a backup")
    } else {
      let found = try faults(configuration, names)
      try conclude(found.lines, hint: "stop the daemon and `fgnetd verify --repair`")
    }
  }

  private func faults(
    _ configuration: DaemonConfiguration, _ names: [String]
  ) throws -> (byVolume: [String: [StoreCheck.Fault]], lines: [String]) {
    try withRecord(configuration) { record in
      var byVolume: [String: [StoreCheck.Fault]] = [:]
      var lines: [String] = []
      for name in names {
        var check = try StoreCheck(
          record: record, volume: volumeRow(record, name), stateDirectory: configuration.stateDirectory)
        let found = try check.faults()
        byVolume[name] = found
        lines += found.map { "volume \(name), \($0)" }
        print("volume \(name): \(check.files) files, \(found.count) damaged, lost or not as the rows say")
      }
      return (byVolume, lines)
    }
  }

  private func verifyLineage(_ configuration: DaemonConfiguration, _ names: [String]) throws {
    let wrong = try withRecord(configuration) { record in
      try names.reduce(0) { try $0 + Self.checkLineage(record, $1) { print($0) } }
    }
    if wrong > 0 {
      throw OperatorError(
        "the log and the tables differ in \(wrong) ways; stop the daemon and restore the database from a backup",
        status: .badData)
    }
  }

  /// Checks the lineage of one volume and says what was found, a line each.
  /// - Returns: how many checks failed.
  static func checkLineage(_ record: Record, _ name: String, say: (String) -> Void) throws -> Int {
    let report = try record.checkLineage(volume: volumeRow(record, name).id)
    say(
      "volume \(name): \(report.operations) operations and \(report.events) events replayed, "
        + "\(report.fragments) fragments and \(report.edges) edges compared, \(report.faults.count) faults")
    for fault in report.faults { say("volume \(name): \(fault)") }
    return report.faults.count
  }

  private func conclude(_ lines: [String], hint: String) throws {
    lines.forEach { print($0) }
    if !lines.isEmpty {
      throw OperatorError("\(lines.count) files are not as they should be; \(hint)", status: .badData)
    }
  }
}

/// Makes files of the store again. The caller has the state directory to itself.
final class StoreRepair {
  private let configuration: DaemonConfiguration
  private let damaged: [String: [StoreCheck.Fault]]
  private let log: Logger

  init(_ configuration: DaemonConfiguration, damaged: [String: [StoreCheck.Fault]], log: Logger) {
    self.configuration = configuration
    self.damaged = damaged
    self.log = log
  }

  /// Puts damaged products out of the way and lets a daemon without an intake do its work.
  func perform() throws {
    guard damaged.values.contains(where: { !$0.isEmpty }) else { return }
    for (volume, fault) in all where !fault.isImage { _ = rename(path(volume, fault), aside(volume, fault)) }
    let inbox = Inbox()
    let core = try DaemonCore(configuration: configuration, inbox: inbox, log: log)
    try core.open()
    defer { core.close() }
    for (volume, fault) in all where fault.isImage {
      guard let pipeline = core.pipelines.first(where: { $0.name == volume }) else { continue }
      do { try pipeline.work.remakeSource(fault.z, pipeline.rows[fault.z]) } catch { log.error("\(error)") }
    }
    // What cannot be made again is known by its alarm; the rest is looked at afterwards.
    core.onProgress = { [unowned core] in if !core.alarms.alarms.isEmpty { inbox.stop() } }
    try core.run { true }
  }

  /// Removes what was made again, puts the rest back.
  /// - Returns: a line for each file that was made again.
  func conclude(left: [String: [StoreCheck.Fault]]) throws -> [String] {
    all.compactMap { volume, fault in
      let isWhole = left[volume]?.contains { $0.file == fault.file } != true
      if !fault.isImage {
        if isWhole { unlink(aside(volume, fault)) } else { _ = rename(aside(volume, fault), path(volume, fault)) }
      }
      return isWhole ? "volume \(volume), z \(fault.z): \(fault.file) made again" : nil
    }
  }

  private var all: [(volume: String, fault: StoreCheck.Fault)] {
    damaged.sorted { $0.key < $1.key }.flatMap { volume, faults in faults.map { (volume, $0) } }
  }

  private func store(_ volume: String) -> SectionStore {
    SectionStore(stateDirectory: configuration.stateDirectory, volume: volume)
  }
  private func path(_ volume: String, _ fault: StoreCheck.Fault) -> String { store(volume).path(fault.file) }
  private func aside(_ volume: String, _ fault: StoreCheck.Fault) -> String {
    store(volume).path("damaged-" + fault.file)
  }
}
