import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// The program itself, as a user or systemd runs it.
@Suite(.serialized) struct ProgramTests {
  /// A run of `fgnetd`.
  final class Program {
    private let process = Process()
    private let errors = Pipe()
    private let output = Pipe()

    static let path: String = {
      let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
      return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("fgnetd").path
    }()

    init(_ arguments: [String]) throws {
      process.executableURL = URL(fileURLWithPath: Self.path)
      process.arguments = arguments
      process.standardOutput = output
      process.standardError = errors
      try process.run()
    }

    var isRunning: Bool { process.isRunning }
    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for the end; nil if it takes longer than `seconds`.
    func status(within seconds: Double) -> Int32? {
      let end = Date(timeIntervalSinceNow: seconds)
      while process.isRunning, Date() < end { usleep(2000) }
      guard !process.isRunning else { return nil }
      process.waitUntilExit()
      return process.terminationStatus
    }

    /// What it wrote, once it has ended.
    func texts() -> (output: String, errors: String) {
      let out = output.fileHandleForReading.readDataToEndOfFile()
      let err = errors.fileHandleForReading.readDataToEndOfFile()
      return (String(decoding: out, as: UTF8.self), String(decoding: err, as: UTF8.self))
    }
  }

  func run(_ arguments: String...) throws -> (status: Int32?, output: String, errors: String) {
    let program = try Program(arguments)
    let status = program.status(within: 120)
    if status == nil { program.signal(SIGKILL) }
    let texts = program.texts()
    return (status, texts.output, texts.errors)
  }

  func configurationFile(_ bench: Bench) throws -> String {
    let path = bench.folder + "/fgnetd.yaml"
    try bench.configuration.text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  @Test func killedAtRandomMomentsItEndsWithTheSameLabelsAndRows() throws {
    let zs = SectionNumber(0)..<18
    let calm = try Bench(size: 128)
    for z in zs { try calm.write(z) }
    let done = try run("ingest", "--config", configurationFile(calm), "--quiet", calm.watched)
    #expect(done.status == 0, "\(done.errors)")
    let expected = try calm.finalState()
    #expect(try calm.query("select count(*)::text from fgnet.section where state = 'final'") == "18")

    let killed = try Bench(size: 128)
    for z in zs { try killed.write(z) }
    let file = try configurationFile(killed)
    var generator = SeededGenerator(seed: 17)
    var kills = 0
    // A fast machine may come to the end before; a slow one is killed at its start more often.
    for _ in 0..<25 {
      let program = try Program(["ingest", "--config", file, "--quiet", killed.watched])
      if program.status(within: Double.random(in: 0.05..<0.8, using: &generator)) == nil {
        program.signal(SIGKILL)
        kills += 1
        #expect(program.status(within: 10) != nil)
      }
      _ = program.texts()
    }
    #expect(kills >= 5)
    let last = try run("ingest", "--config", file, "--quiet", killed.watched)
    #expect(last.status == 0, "\(last.errors)")
    #expect(try killed.finalState() == expected)
    let strays = try killed.stored().filter { $0.hasPrefix(".") }
    #expect(strays.isEmpty)
  }

  @Test func toldToStopItEndsAndGoesOnLater() throws {
    let zs = SectionNumber(0)..<18
    let calm = try Bench(size: 128)
    for z in zs { try calm.write(z) }
    #expect(try run("ingest", "--config", configurationFile(calm), "--quiet", calm.watched).status == 0)
    let bench = try Bench(size: 128)
    for z in zs { try bench.write(z) }
    let (file, report) = (try configurationFile(bench), bench.folder + "/report.jsonl")
    let program = try Program(["ingest", "--config", file, "--quiet", "--report", report, bench.watched])
    func lines() -> Int { FileManager.default.contents(atPath: report)?.count { $0 == UInt8(ascii: "\n") } ?? 0 }
    while lines() < 2, program.isRunning { _ = program.status(within: 0.01) }
    program.signal(SIGTERM)
    #expect(program.status(within: 60) == ExitStatus.failure.rawValue)
    if program.isRunning { program.signal(SIGKILL) }
    #expect(program.texts().errors.contains("goes on from here"))
    #expect(try run("ingest", "--config", file, "--quiet", bench.watched).status == 0)
    #expect(try bench.finalState() == calm.finalState())
  }

  @Test func ingestReportsEachSectionWhenItIsFinal() throws {
    let bench = try Bench(size: 128)
    for z in SectionNumber(0)..<8 { try bench.write(z) }
    let file = bench.folder + "/report.jsonl"
    let done = try run(
      "ingest", "--config", configurationFile(bench), "--quiet", "--report", file, bench.watched)
    #expect(done.status == 0, "\(done.errors)")
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
      try JSONDecoder().decode(SectionReport.Line.self, from: Data($0.utf8))
    }
    #expect(lines.map(\.z) == Array(0..<8))
    #expect(lines.allSatisfy { $0.volume == "test" && $0.rssBytes > 1 << 20 && $0.operations > 0 })
    #expect(zip(lines, lines.dropFirst()).allSatisfy { $0.seconds <= $1.seconds && $0.operations <= $1.operations })
    #expect(lines.last?.stages["affinity"] ?? 0 > 0)
    let first = try String(contentsOfFile: file, encoding: .utf8).prefix { $0 != "\n" }
    for key in ["volume", "z", "seconds", "operations", "rss_bytes", "stages"] {
      #expect(first.contains("\"\(key)\":"))
    }
    let refused = try run(
      "ingest", "--config", configurationFile(bench), "--quiet", "--report", "/no/folder/report", bench.watched)
    #expect(refused.status == ExitStatus.cannotCreate.rawValue && refused.errors.contains("/no/folder/report"))
  }

  @Test func theDaemonTakesWhatIsDroppedAndStopsWhenAsked() throws {
    let bench = try Bench(size: 128)
    let file = try configurationFile(bench)
    let daemon = try Program(["run", "--config", file])
    for z in SectionNumber(0)..<4 {
      let hidden = bench.watched + "/.s\(z).png.part"
      try PNGWriter.write(gray: bench.volume.section(z).image, to: hidden)
      #expect(rename(hidden, bench.watched + "/s\(z).png") == 0)
    }
    // Written in two goes, slowly: taken when it is whole.
    let whole = bench.folder + "/whole.png"
    try PNGWriter.write(gray: bench.volume.section(4).image, to: whole)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: whole))
    let late = bench.watched + "/s4.png"
    try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: late))
    var waited = try untilTheDaemonIsThere(file, sections: 4)
    #expect(waited.status == 0, "\(waited.errors)")
    let handle = try #require(FileHandle(forWritingAtPath: late))
    try handle.seekToEnd()
    try handle.write(contentsOf: bytes.suffix(from: bytes.count / 2))
    try handle.close()
    waited = try run("wait", "--config", file, "--sections", "5", "--timeout", "60")
    #expect(waited.status == 0, "\(waited.errors)")
    #expect(try run("finish", "--config", file).status == 0)
    #expect(try run("wait", "--config", file, "--final", "--timeout", "60").status == 0)
    let second = try run("run", "--config", file)
    #expect(second.status == ExitStatus.unavailable.rawValue && second.errors.contains("another fgnetd"))
    let answer = try run(
      "sql", "--config", file, "--", "-At", "-c", "select count(*) from sections where state = 'final'")
    #expect(answer.output == "5\n", "\(answer.errors)")
    let status = try run("status", "--config", file).output
    #expect(status.contains("5 final") && status.contains("sections an hour; keeps up"), "\(status)")
    #expect(status.contains("busy (in all):") && status.contains("affinity"), "\(status)")
    let report = try run("status", "--json", "--config", file).output
    #expect(report.contains("\"keepsUp\" : true") && report.contains("\"share\" :"), "\(report)")
    daemon.signal(SIGTERM)
    #expect(daemon.status(within: 30) == 0)
    if daemon.isRunning { daemon.signal(SIGKILL) }
    _ = daemon.texts()
    #expect(
      !FileManager.default.fileExists(atPath: bench.configuration.stateDirectory + "/postgres/data/postmaster.pid"))
  }

  /// The daemon needs a moment to make its cluster; `wait` says so until then.
  func untilTheDaemonIsThere(_ file: String, sections: Int) throws -> (status: Int32?, output: String, errors: String) {
    let end = Date(timeIntervalSinceNow: 60)
    while true {
      let waited = try run("wait", "--config", file, "--sections", "\(sections)", "--timeout", "60")
      if waited.status == 0 || Date() > end { return waited }
    }
  }

  @Test func exportHoldsWhatTheDatabaseSays() throws {
    let bench = try Bench(size: 96)
    try bench.run([(0..<3).map { try bench.write($0) }])
    let file = try configurationFile(bench)
    let target = bench.folder + "/segments.h5"
    let exported = try run("export", "--config", file, target)
    #expect(exported.status == 0, "\(exported.errors)")
    let labels = try LabelSource.open(target)
    #expect(labels.count == 3 && labels.height == 96 && labels.width == 96)
    let ids = Set(try (0..<3).flatMap { try labels.plane($0).storage })
    let rows = try bench.query("select string_agg(segment_id::text, ',') from fgnet.segments").split(separator: ",")
    #expect(ids == Set(rows.compactMap { UInt64($0) }))
    let scores = try run("evaluate", "--config", file, target)
    #expect(scores.output.contains("VOI 0.0000"), "\(scores.output)\(scores.errors)")
    let pair = try run("export", "--config", file, "--for-training", bench.folder + "/training/")
    #expect(pair.status == 0, "\(pair.errors)")
    let pairFile = bench.folder + "/training/test.h5"
    #expect(
      pair.output.contains(
        "fgnet-train --output runs/NAME --source \(pairFile):image,\(pairFile):labels --voxel-size 30 6 6\n"),
      "\(pair.output)")
    let images = try LabelSource.open(pairFile + ":image")
    let pairLabels = try LabelSource.open(pairFile)
    for z in 0..<3 {
      #expect(try pairLabels.plane(z) == labels.plane(z))
      let original = try bench.volume.section(SectionNumber(z)).image
      #expect(try images.plane(z).storage == original.storage.map { UInt64($0) })
    }
    #expect(pairLabels.voxelSize.map { [$0.z, $0.y, $0.x] } == [30, 6, 6])
    // Proofread segments only.
    let kept = try #require(ids.filter { $0 != 0 }.min())
    let list = bench.folder + "/segments.txt"
    try "# good\n\(kept)\n".write(toFile: list, atomically: true, encoding: .utf8)
    let some = try run("export", "--config", file, "--for-training", "--segments", list, pairFile)
    #expect(some.status == 0 && some.output.contains(":labels,zero=ignore --voxel-size"), "\(some.errors)")
    let few = try LabelSource.open(pairFile)
    for z in 0..<3 {
      #expect(try few.plane(z).storage == labels.plane(z).storage.map { $0 == kept ? $0 : 0 })
    }
    let before = FileManager.default.contents(atPath: pairFile)
    let unknown = try run("export", "--config", file, "--for-training", "--segments", "\(kept),77", pairFile)
    #expect(unknown.status == ExitStatus.noInput.rawValue && unknown.errors.contains("77"), "\(unknown.errors)")
    #expect(FileManager.default.contents(atPath: pairFile) == before)
    let worst = try run(
      "evaluate", "--config", file, "--worst", "2", "--pictures", bench.folder + "/errors", pairFile)
    #expect(worst.status == 0 && worst.output.contains("merges:"), "\(worst.errors)")
    let picture = bench.folder + "/picture.png"
    #expect(try run("render", "--config", file, "--z", "1", picture).status == 0)
    #expect(FileManager.default.fileExists(atPath: picture))
    let none = try run("render", "--config", file, "--z", "77", picture)
    #expect(none.status == ExitStatus.noInput.rawValue && none.errors.contains("z 0 to 2"), "\(none.errors)")
  }

  @Test func mistakesAreAnsweredInOneLine() throws {
    let bench = try Bench(size: 64)
    let good = bench.configuration.text
    func attempt(_ change: (String) -> String, _ command: String = "check-config") throws -> (Int32?, String) {
      let path = bench.folder + "/wrong.yaml"
      try change(good).write(toFile: path, atomically: true, encoding: .utf8)
      let result = try run(command, "--config", path)
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      #expect(!result.errors.contains("Error Domain"), "\(result.errors)")
      return (result.status, result.errors)
    }
    #expect(try attempt { $0.replacing(bench.watched, with: "/no/such/folder") }.1.contains("does not exist"))
    #expect(try attempt { $0 + "\nvolume: x\n" }.0 == ExitStatus.configuration.rawValue)
    #expect(try attempt { $0.replacing(Bench.model, with: "/no/model.h5") }.1.contains("/no/model.h5"))
    let cut = bench.folder + "/cut.h5"
    let model = try Data(contentsOf: URL(fileURLWithPath: Bench.model))
    try model.prefix(model.count / 2).write(to: URL(fileURLWithPath: cut))
    #expect(try attempt { $0.replacing(Bench.model, with: cut) }.1.contains("cut.h5"))
    #expect(try attempt({ $0.replacing("\(bench.folder)/state", with: "/proc/no") }, "run").1.contains("/proc/no"))
    #expect(
      try attempt({ $0 + "\ndatabase:\n  binaries: /no/postgres\n" }, "run").1.contains("/no/postgres"))
    #expect(
      try attempt({ $0 + "\ndatabase:\n  url: host=/no/socket dbname=x\n" }, "status").1.contains("PostgreSQL"))
    let thick = try attempt { $0.replacing("folder:", with: "voxel_size_nm: [10, 10, 10]\n    folder:") }
    #expect(thick.0 == ExitStatus.configuration.rawValue && thick.1.contains("10 x 10 x 10 nm"), "\(thick.1)")
    #expect(thick.1.contains("wrong.yaml, stages.affinity: volume test has voxels"), "\(thick.1)")
    let verbose = try run("check-config", "--verbose", "--config", configurationFile(bench))
    #expect(verbose.status == 0 && verbose.output.contains("(model)\n"), "\(verbose.errors)")
    let missing = try run("check-config", "--config", "/no/config.yaml")
    #expect(missing.status == ExitStatus.configuration.rawValue && missing.errors.contains("does not exist"))
    let empty = try run("ingest", "--config", configurationFile(bench), bench.watched)
    #expect(empty.status == ExitStatus.noInput.rawValue && empty.errors.contains("no file in"), "\(empty.errors)")
  }

  @Test func simulatedSectionsAreTheSameForTheSameSeed() throws {
    let bench = try Bench(size: 64)
    for name in ["a", "b"] {
      let made = try run("simulate", bench.folder + "/" + name, "--sections", "2", "--size", "96", "--seed", "3")
      #expect(made.status == 0, "\(made.errors)")
    }
    for file in ["image/0000.png", "image/0001.png", "labels/0001.png"] {
      #expect(
        FileManager.default.contents(atPath: "\(bench.folder)/a/\(file)")
          == FileManager.default.contents(atPath: "\(bench.folder)/b/\(file)"))
    }
    #expect(try run("simulate", bench.folder + "/c", "--size", "0").status != 0)
    #expect(try run("model", "info", Bench.model).output.contains("MFLOP per pixel"))
  }

  @Test func aStageIsHeldAgainstTheContract() throws {
    let good = try run("stage-test", "median", "--side", "64")
    #expect(good.status == 0 && good.output.contains("it keeps the contract"), "\(good)")
    let bad = try run("stage-test", Bench.root + "Tests/PluginsTests/Stages/bad.py")
    #expect(bad.status == ExitStatus.badData.rawValue && bad.errors.contains("it ended with status 1"), "\(bad)")
    let unknown = try run("stage-test", "blur")
    #expect(unknown.status == ExitStatus.usage.rawValue && unknown.errors.contains("there are median"), "\(unknown)")
  }

  @Test func aStagesProgramEndsWithTheDaemonHoweverThatEnds() throws {
    let bench = try ExternalStageTests.bench([.denoise])
    let daemon = try Program(["run", "--config", configurationFile(bench)])
    let folder = bench.configuration.stateDirectory + "/stages/lab"
    func programs() -> [String] {
      let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return all.filter { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")) == folder }
    }
    for _ in 0..<6000 where programs().isEmpty && daemon.isRunning { usleep(10_000) }
    #expect(!programs().isEmpty)
    daemon.signal(SIGKILL)
    _ = daemon.status(within: 60)
    for _ in 0..<6000 where !programs().isEmpty { usleep(10_000) }
    #expect(programs().isEmpty)
  }
}
