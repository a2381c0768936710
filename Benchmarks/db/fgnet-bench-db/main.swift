import ArgumentParser
import DB
import Domain
import Foundation

/// The database at size: a made-up history, and what commits and questions take in it. Not part of what is installed.
struct BenchDB: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fgnet-bench-db", subcommands: [Make.self, Measure.self, Check.self])
}

struct ShapeOptions: ParsableArguments {
  @Option(help: "Fragments of each section.") var fragments = 10_000
}

/// Makes a history in a private cluster.
struct Make: ParsableCommand {
  @Argument(help: "Directory of the cluster; it must not be there yet.") var directory: String
  @Option(help: "Sections.") var sections = 2000
  @Option(help: "Operations of people.") var edits = 2_000_000
  @OptionGroup var shape: ShapeOptions

  func run() throws {
    guard !FileManager.default.fileExists(atPath: directory + "/data") else {
      throw ValidationError("\(directory) holds a cluster already: remove it first")
    }
    let shape = Shape(sections: sections, columns: shape.fragments, edits: edits)
    try History(shape: shape, sections: NewSections(shape)).make(in: directory)
  }
}

/// Commits and asks, with the product's own settings of the server.
struct Measure: ParsableCommand {
  @Argument(help: "Directory of the history that is asked about.") var directory: String
  @Argument(help: "Directory of a history of few sections, to compare commits with.") var early: String
  @Option(help: "Commits to measure in each.") var commits = 15
  @Flag(help: "Measures commits only.") var commitsOnly = false
  @Option(help: "Memory for the server's pages, such as 256MB, in place of the product's.") var sharedBuffers: String?
  @OptionGroup var shape: ShapeOptions

  func run() throws {
    var options = EmbeddedCluster.Options()
    if let sharedBuffers { options.settings["shared_buffers"] = sharedBuffers }
    let late = EmbeddedCluster(directory: directory, options: options)
    let early = EmbeddedCluster(directory: early, options: options)
    defer {
      try? late.stop()
      try? early.stop()
    }
    let connection = try Connection(try late.start())
    let facts = try connection.execute(
      """
      select (select max(z) + 1 from section), (select count(*) from fragment), (select count(*) from region_edge),
        (select count(*) from lineage_event), (select count(*) from segment where state = 'live'),
        (select count(*) from operation)
      """)
    let shape = Shape(sections: Int(try facts.int(0, 0)), columns: shape.fragments, edits: 0)
    let sections = NewSections(shape)
    var report = Report()
    for (place, name) in ["sections", "fragments", "edges", "events", "live segments", "operations"].enumerated() {
      report.add(name, String(try facts.int(0, place)))
    }
    if !commitsOnly {
      try Filling(record: Record(connection)).fill(&report)
      let questions = try Questions(connection, sections)
      try questions.sizes(&report)
      try questions.ask(&report)
    }
    try compare(Connection(try early.start()), connection, sections, &report)
    print(report.text)
  }

  private func compare(
    _ early: Connection, _ late: Connection, _ sections: NewSections, _ report: inout Report
  ) throws {
    let work = Commits(sections: sections)
    var (first, last) = (try Commits.Place(early), try Commits.Place(late))
    let beginning = first.next
    var (before, after, copies, warm) = (Times(), Times(), Times(), Times())
    for _ in 0..<2 {
      try work.commit(&first, &warm)
      try work.commit(&last, &warm)
    }
    for _ in 0..<commits {
      try work.commit(&first, &before)
      try work.commit(&last, &after)
      try work.copy(&last, &copies)
    }
    report.add("commit at section \(beginning)", before.text)
    report.add("commit at section \(sections.shape.sections)", after, limit: 500)
    let growth = after.median / before.median
    report.add("the one over the other", String(format: "%.2f", growth), bar: "<= 1.2", met: growth <= 1.2)
    report.add("`COPY` alone of the same bytes", copies.text)
    let over = after.median / copies.median
    report.add("commit over `COPY` alone", String(format: "%.2f", over), bar: "<= 2", met: over <= 2)
  }
}

/// Replays the log of a history, as `fgnetd verify-lineage` does.
struct Check: ParsableCommand {
  @Argument(help: "Directory of the history.") var directory: String

  func run() throws {
    let cluster = EmbeddedCluster(directory: directory)
    defer { try? cluster.stop() }
    let record = Record(try Connection(try cluster.start()))
    let found = try record.checkLineage(volume: 1)
    print("\(found.fragments) fragments, \(found.edges) edges, \(found.events) events, \(found.operations) operations")
    for fault in found.faults { print(fault) }
    if !found.faults.isEmpty { throw ExitCode.failure }
  }
}

BenchDB.main()
