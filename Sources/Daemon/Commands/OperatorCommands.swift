import ArgumentParser
import DB
import Domain
import Foundation

/// `fgnetd check-config`: everything that is wrong with a configuration, at once.
struct CheckConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check-config", abstract: "Check a configuration and say everything that is wrong with it.")

  @OptionGroup var config: ConfigurationOption
  @Flag(
    name: .shortAndLong,
    help: "Show the options of every stage and where each comes from: default, model or configuration.")
  var verbose = false

  func run() throws {
    let configuration = try config.load()
    let maker = StageMaker(configuration)
    let report = verbose ? try maker.report() : []
    if !verbose { _ = try maker.make() }
    try checkFolders(configuration)
    print("\(config.path): good, \(configuration.volumes.count) volume(s)")
    for line in report { print(line) }
  }
}

/// `fgnetd finish`: the scan has ended, the last sections become final.
struct FinishCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finish",
    abstract: "Say that a volume has no sections above the last one, so that its last sections become final.",
    discussion: "A section that comes later all the same is taken in; what it changes is recorded as a revision.")

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Option(
    help: "The last section's number; without it, the highest that is there, or is missing or set aside right above it."
  )
  var last: Int32?

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    try withRecord(configuration) { record in
      let row = try volumeRow(record, name)
      guard let top = try last ?? SectionRow.top(of: record.sections(row.id)) else {
        throw OperatorError("volume \(name) has no sections yet", status: .noInput)
      }
      try record.setFinished(volume: row.id, lastZ: top, run: nil)
      print("volume \(name) ends at z \(top)")
    }
  }
}

/// `fgnetd declare-missing`: sections that will not come.
struct DeclareMissingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "declare-missing", abstract: "Say that sections will not come, so that work goes on across the hole.",
    discussion: "If one comes later it is put in, as if it had come in time.")

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Argument(help: "The numbers of the sections.") var z: [Int32]
  @Option(help: "With one number: all from it to this one.") var to: Int32?

  func validate() throws {
    guard let to else { return }
    if z.count != 1 || to < z[0] { throw ValidationError("--to goes with one number that is not above it") }
  }

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    try withRecord(configuration) { record in
      let row = try volumeRow(record, name)
      for z in to.map({ Array(z[0]...$0) }) ?? z {
        guard FragmentID.sectionNumbers.contains(z) else {
          throw OperatorError("z \(z) is not a section number", status: .usage)
        }
        if let section = try record.section(row.id, z: z), section.state != .missing {
          throw OperatorError(
            "z \(z) of \(name) is there (\(section.sourcePath ?? "")); it is not missing", status: .usage)
        }
        try record.declareMissing(volume: row.id, z: z, run: nil)
        print("volume \(name), z \(z): declared missing")
      }
    }
  }
}

/// `fgnetd set-aside`: sections that are not wanted.
struct SetAsideCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set-aside", abstract: "Leave sections out, as if they were missing: a wrong number, a useless image.",
    discussion:
      "A running daemon follows at once and links the neighbours across. `fgnetd retry` puts a section back in, and so do other bytes for it."
  )

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Option(help: "Why, in a sentence.") var reason: String
  @Argument(help: "The numbers of the sections.") var z: [Int32]

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    try withRecord(configuration) { record in
      let row = try volumeRow(record, name)
      for z in z {
        do throws(DatabaseError) {
          try record.setAside(volume: row.id, z: z, reason: reason, codeVersion: Version.current)
        } catch .conflict(let text) {
          throw OperatorError("volume \(name): \(text)", status: .usage)
        }
        print("volume \(name), z \(z): set aside")
      }
    }
  }
}

/// `fgnetd retry`: sections that were set aside.
struct RetryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Take sections up again that were set aside, by a stage that failed on them or by an operator.",
    discussion:
      "A running daemon takes them up at once. Those that a stage failed on are also tried again when their bytes or the stages change."
  )

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Flag(help: "All that are set aside.") var all = false
  @Argument(help: "The numbers of the sections.") var z: [Int32] = []

  func validate() throws {
    if all == !z.isEmpty { throw ValidationError("give the numbers of sections, or --all") }
  }

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    try withRecord(configuration) { record in
      let row = try volumeRow(record, name)
      let known = Set(try record.setAside(row.id).map(\.z))
      for z in z where !known.contains(z) {
        throw OperatorError("z \(z) of \(name) is not set aside", status: .usage)
      }
      for z in all ? known.sorted() : z {
        try record.retry(volume: row.id, z: z, run: nil)
        print("volume \(name), z \(z): is tried again")
      }
      if known.isEmpty { print("volume \(name): no section is set aside") }
    }
  }
}

/// `fgnetd sql`: psql on the right database.
struct SQLCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sql", abstract: "Open psql on the database of this configuration.",
    discussion: "Everything after `--` goes to psql: fgnetd sql -- -c 'select * from segments limit 5'")

  @OptionGroup var config: ConfigurationOption
  @Argument(parsing: .postTerminator, help: "Arguments for psql.") var arguments: [String] = []

  func run() throws {
    let configuration = try config.load()
    let session = DatabaseSession(configuration)
    _ = try session.open()
    let status = try psql(session.conninfo)
    try session.close()
    if status != 0 { throw ExitCode(status) }
  }

  private func psql(_ conninfo: String) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["psql", "-X", conninfo] + arguments
    var environment = ProcessInfo.processInfo.environment
    environment["PGOPTIONS"] = (environment["PGOPTIONS"] ?? "") + " -c search_path=fgnet,public"
    process.environment = environment
    do { try process.run() } catch {
      throw OperatorError("psql could not be started; install postgresql-client", status: .unavailable)
    }
    process.waitUntilExit()
    return process.terminationStatus
  }
}
