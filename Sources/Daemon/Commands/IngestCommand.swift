import ArgumentParser
import DB
import Domain
import Foundation
import Intake
import Logging
import Volumes
import Web

/// `fgnetd ingest`: takes a whole folder in, and ends.
struct IngestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest", abstract: "Take a folder of sections in, segment it to the end, and stop.",
    discussion: """
      The folder is taken for the whole volume: holes in z are declared missing, and the last section is the last. \
      Repeating the command goes on where it was broken off.
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Argument(help: "The folder.") var folder: String
  @Flag(name: .shortAndLong, help: "No progress bar.") var quiet = false
  @Option(
    help: """
      Write a line of JSON to this file for each section when its rows are final: seconds since the start, multiply-adds \
      of the network so far, memory, and seconds spent in each stage.
      """)
  var report: String?

  func run() throws {
    let began = ContinuousClock.now
    var configuration = try config.load()
    configuration.volumes = [try chosenVolume(configuration)]
    try checkFolders(configuration)
    let log = Logger.program(quiet: !quiet && isatty(STDERR_FILENO) == 1)
    let inbox = Inbox()
    let lock = try StateLock(configuration.stateDirectory)
    defer { lock.release() }
    let core = try DaemonCore(configuration: configuration, inbox: inbox, log: log)
    core.showsTail = false
    if let path = report {
      let report = try SectionReport(path, began: began)
      core.onFinal = { pipeline, z in
        try report.add(
          volume: pipeline.name, z: z, operations: pipeline.timings.operations, stages: pipeline.timings.seconds)
      }
    }
    ProgramSignals.handle(onStop: { inbox.stop() })
    try core.open()
    defer { core.close() }
    let pipeline = core.pipelines[0].configuration
    let found = try FolderIntake.scanOnce(pipeline, policy: configuration.intake.policy)
    guard !found.offered.isEmpty || !found.refused.isEmpty else {
      throw OperatorError(
        "no file in \(folder) fits the pattern \(pipeline.pattern); change `pattern` of the volume", status: .noInput)
    }
    inbox.offer(found.offered)
    found.refused.forEach(inbox.refuse)
    let bar = ProgressBar(isShown: !quiet && isatty(STDERR_FILENO) == 1)
    core.onProgress = { bar.show(core.pipelines.first?.status) }
    var isClosed = false
    core.onOffersTaken = {
      guard !isClosed, let pipeline = core.pipelines.first else { return }
      try pipeline.declareAllMissing()
      try pipeline.finish(at: nil)
      isClosed = true
    }
    try core.run { core.pipelines.first?.isSettled ?? false }
    bar.end()
    try conclude(core, inbox)
  }

  private func chosenVolume(_ configuration: DaemonConfiguration) throws -> DaemonConfiguration.Volume {
    let name = try? volume.chosen(configuration)
    var chosen =
      configuration.volumes.first { $0.name == name }
      ?? DaemonConfiguration.Volume(
        name: name ?? "", folder: "", pattern: DaemonConfiguration.defaultPattern, voxelSize: (30, 6, 6),
        missingAfter: nil)
    if let name = volume.name { chosen.name = name }
    if chosen.name.isEmpty {
      throw OperatorError("name the volume with --volume", status: .usage)
    }
    chosen.folder = DaemonConfiguration.absolute(folder)
    return chosen
  }

  private func conclude(_ core: DaemonCore, _ inbox: Inbox) throws {
    guard let status = core.pipelines.first?.status else { return }
    let aside = core.setAside
    FileHandle.standardError.write(
      Data(
        "\(status.name): \(status.final) sections final, \(status.missing) missing, \(aside) files set aside\n".utf8))
    if inbox.stopped { throw OperatorError("stopped before the end; the same command goes on from here") }
    if status.sectionsSetAside > 0 {
      throw OperatorError(
        "\(status.sectionsSetAside) sections were set aside, as a stage failed on them; `fgnetd status` says why",
        status: .badData)
    }
    if aside > 0 {
      throw OperatorError(
        "\(aside) files were set aside; `fgnetd status` says why", status: .badData)
    }
  }
}

/// One line on a terminal that is drawn over.
final class ProgressBar {
  private let isShown: Bool
  private var shown = ""
  init(isShown: Bool) { self.isShown = isShown }

  func show(_ status: DaemonStatus.Volume?) {
    guard isShown, let status else { return }
    let total = status.received + status.provisional + status.final
    guard total > 0 else { return }
    let width = 40
    let filled = width * status.final / total
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    let line = "[\(bar)] \(status.final) of \(total) sections"
    guard line != shown else { return }
    shown = line
    FileHandle.standardError.write(Data("\r\(line)".utf8))
  }

  func end() {
    if !shown.isEmpty { FileHandle.standardError.write(Data("\n".utf8)) }
  }
}
