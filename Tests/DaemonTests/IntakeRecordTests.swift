import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// From the offer to the rows: what is late, missing, doubled, replaced, or not there any more.
@Suite(.serialized) struct IntakeRecordTests {
  private static let quick = "  agglomerate: {look_behind: 1, look_ahead: 0, agreement_shift: 0}\n"

  /// Opens a daemon once for several rounds of work: each start of the private server takes seconds.
  private func open(_ bench: Bench, _ body: (DaemonCore) throws -> Void) throws {
    let core = try DaemonCore(configuration: bench.configuration, inbox: Inbox(), log: .silent)
    core.shortestPause = 0.01
    try core.open()
    defer { core.close() }
    try body(core)
  }

  // MARK: Files that do not stay as they were offered

  @Test func filesThatChangeOrGoBeforeTheyAreRead() throws {
    let bench = try Bench(size: 64, stages: Self.quick)
    try open(bench) { core in
      // Where nobody offers it again, a change is told.
      let changed = try bench.write(5)
      try bench.write(5, like: 31)
      try core.work([changed])
      #expect(try core.quarantine(bench).first?.contains("changed while it was read") == true)

      core.inbox.expect("test", LifeSign())
      let files = try (0..<5).map { try bench.write($0) }
      unlink(files[1].path)
      try bench.write(2, like: 30)
      unlink(files[3].path)
      #expect(mkdir(files[3].path, 0o755) == 0)
      try core.work(files + [bench.offer(changed.path, 5)])
      #expect(try core.text("select string_agg(z::text, ',' order by z) from fgnet.section") == "0,4,5")
      let reasons = try core.quarantine(bench)
      #expect(reasons.count == 1 && reasons[0].hasPrefix("s3.png: "), "\(reasons)")
      #expect(reasons[0].contains("cannot be read (Is a directory)"), "\(reasons)")
      #expect(core.inbox.takeFilesToLookAtAgain("test").sorted() == [files[2].path, files[3].path])
      // Offered again, both are taken in, and nothing is said of them any more.
      rmdir(files[3].path)
      try core.work([bench.offer(files[2].path, 2), bench.write(3)])
      #expect(try core.text("select string_agg(z::text, ',' order by z) from fgnet.section") == "0,2,3,4,5")
      #expect(try core.quarantine(bench) == [])
    }
  }

  @Test func filesSetAsideThatAreGoneAreSettled() throws {
    let bench = try Bench(size: 64, stages: Self.quick)
    func path(_ name: String) -> String { bench.watched + "/" + name }
    func refuse(_ name: String, _ inbox: Inbox) {
      inbox.refuse(RefusedFile(path: path(name), size: 1, mtimeNs: 1, reason: "bad"))
    }
    try open(bench) { core in
      for name in ["a\nb.png", "c.png", "d.png"] { refuse(name, core.inbox) }
      core.inbox.gone(path("c.png"))
      core.inbox.gone(path("never.png"))
      try core.work([])
      #expect(try core.quarantine(bench) == ["a\nb.png: bad", "d.png: bad"])
    }
    // Known to the next run.
    try open(bench) { core in
      core.inbox.gone(path("a\nb.png"))
      core.inbox.gone(path("d.png"))
      refuse("d.png", core.inbox)
      try core.work([])
      #expect(try core.quarantine(bench) == ["d.png: bad"])
      #expect(try core.text("select count(*)::text from fgnet.quarantine where resolved_at is not null") == "3")
    }
  }

  /// A pipe without a writer stands for a mount that does not answer.
  @Test func readingThatDoesNotComeToAnEndIsAnAlarm() throws {
    let bench = try Bench(size: 64, stages: Self.quick)
    let good = try bench.write(0)
    let path = bench.watched + "/s1.png"
    #expect(mkfifo(path, 0o644) == 0)
    let file = OfferedFile(volume: "test", z: 1, path: path, size: 1, mtimeNs: 1)
    var alarm: String?
    try open(bench) { core in
      core.readingPatience = 0.2
      core.onProgress = { [unowned core] in
        guard alarm == nil, let found = core.alarms.alarms.first(where: { $0.kind == "intake" }) else { return }
        alarm = found.text
        close(Glibc.open(path, O_WRONLY | O_NONBLOCK))
      }
      try core.work([good, file])
      #expect(alarm == "reading \(path) does not come to an end; its mount does not answer")
      #expect(try core.quarantine(bench).count == 1)
      #expect(try core.text("select count(*)::text from fgnet.section") == "1")
    }
  }

  // MARK: Late, missing, replaced

  @Test func sectionsBelowTheFirstOneGiveWhatTheyWouldHaveGivenInTime() throws {
    let zs = Array(SectionNumber(-3)..<8)
    let inTime = try Bench(size: 96, stages: Self.quick)
    try inTime.run([zs.map { try inTime.write($0) }])
    let downwards = try Bench(size: 96, stages: Self.quick)
    try downwards.run(
      [zs.filter { $0 >= 4 }, [3], [-1, 0, 1, 2], [-3], [-2]].map { try $0.map { try downwards.write($0) } })
    let state = try downwards.finalState()
    #expect(try state == inTime.finalState())
    #expect(state.hasPrefix("(-3,final,"))
  }

  @Test func aHoleIsDeclaredByTimeOrByTheOperatorAndFilledLater() throws {
    let zs = Array(SectionNumber(0)..<12)
    let inTime = try Bench(size: 96, stages: Self.quick)
    try inTime.run([zs.map { try inTime.write($0) }])
    let bench = try Bench(size: 96, stages: Self.quick)
    bench.configuration.volumes[0].missingAfter = 1e9
    try open(bench) { core in
      func states() throws -> [Substring] {
        try core.text(
          "select string_agg(z || ' ' || state, ',' order by z) from fgnet.section where state in ('missing', 'final')"
        ).split(separator: ",")
      }
      // Waited for: nothing that looks across the holes is final.
      try core.work(zs.filter { $0 != 5 && $0 != 8 }.map { try bench.write($0) })
      try core.pipelines[0].finish(at: nil)
      try core.work([])
      #expect(try !states().contains { $0.hasSuffix("missing") || $0 == "6 final" })
      // The operator, while the daemon runs.
      try withRecord(bench.configuration) { record in
        _ = try record.declareMissing(volume: record.volumes()[0].id, z: 5, run: nil)
      }
      try core.work([])
      #expect(try states().contains("5 missing") && !states().contains("8 missing") && !states().contains("9 final"))
      // By time: not before, and then.
      let now = ProcessInfo.processInfo.systemUptime
      try core.pipelines[0].declareOverdue(now: now + 1e9 - 1000)
      #expect(try !states().contains("8 missing"))
      try core.pipelines[0].declareOverdue(now: now + 1e9)
      try core.work([])
      #expect(try states().contains("8 missing") && states().count == 12)
      #expect(
        try core.text("select count(*)::text from fgnet.region_edge where z = 9 and kind = 'between'") != "0")
      // They come after all.
      try core.work([bench.write(8)])
      try core.work([bench.write(5)])
    }
    #expect(try bench.finalState() == inTime.finalState())
  }

  @Test func aRestartDoesNotMakeAHoleYounger() throws {
    let bench = try Bench(size: 96, stages: Self.quick)
    bench.configuration.volumes[0].missingAfter = 3600
    try bench.run([[0, 1, 3].map { try bench.write($0) }], finish: false)
    let missing = "select count(*)::text from fgnet.section where state = 'missing'"
    #expect(try bench.query(missing) == "0")
    func age(_ which: StaticString) throws {
      try withRecord(bench.configuration) { record in _ = try record.connection.execute("\(which)") }
    }
    try age("update fgnet.section set received_at = received_at - interval '2 hours' where z <> 3")
    try bench.run([], finish: false)
    #expect(try bench.query(missing) == "0", "the younger of its neighbours is a moment old")
    try age("update fgnet.section set received_at = received_at - interval '2 hours'")
    try bench.run([], finish: false)
    #expect(try bench.query(missing) == "1")
  }

  @Test func aWrongNumberIsToldAndSetAsideByTheOperator() throws {
    let zs = Array(SectionNumber(0)..<8)
    let whole = try Bench(size: 96, stages: Self.quick)
    try whole.run([zs.map { try whole.write($0) }])
    let bench = try Bench(size: 96, stages: Self.quick)
    bench.configuration.volumes[0].missingAfter = 1e9
    func setAside(_ z: SectionNumber) throws {
      try withRecord(bench.configuration) { record in
        try record.setAside(
          volume: volumeRow(record, "test").id, z: z, reason: "not wanted", codeVersion: Version.current)
      }
    }
    try open(bench) { core in
      try core.work(zs.map { try bench.write($0) } + [bench.write(100_000)])
      let pipeline = core.pipelines[0]
      #expect(pipeline.status.awaited == [[8, 99_999]] && pipeline.status.awaitedCount == 99_992)
      let doubt = try #require(pipeline.status.doubt)
      #expect(doubt.contains("between z 7 and z 100000") && doubt.contains("declare-missing 8 --to 99999"), "\(doubt)")
      try pipeline.declareOverdue(now: ProcessInfo.processInfo.systemUptime + 2e9)
      #expect(throws: OperatorError.self) { try pipeline.declareAllMissing() }
      #expect(try core.text("select count(*)::text from fgnet.section where state = 'missing'") == "0")
      try setAside(100_000)
      try core.work([])
      #expect(pipeline.status.awaitedCount == 0 && pipeline.status.doubt == nil)
      try pipeline.finish(at: nil)
      #expect(pipeline.plan.lastZ == 7)
      try core.work([])
      #expect(try core.text("select count(*)::text from fgnet.section where state = 'final'") == "8")
      // A final section, while the daemon runs.
      try setAside(3)
      try core.work([])
      #expect(try core.text("select count(*)::text from fgnet.fragment where z = 3") == "0")
      #expect(try core.text("select state from fgnet.sections where z = 4") == "final")
    }
    // It stays so, whatever the stages are, until it is wanted again.
    bench.configuration.agglomerate.options["threshold"] = .double(0.2)
    try bench.run([], finish: false)
    #expect(try bench.query("select string_agg(z::text, ',' order by z) from fgnet.sections_set_aside") == "3,100000")
    #expect(throws: DatabaseError.self) { try setAside(3) }
    bench.configuration.agglomerate.options["threshold"] = nil
    try withRecord(bench.configuration) { record in
      _ = try record.retry(volume: volumeRow(record, "test").id, z: 3, run: nil)
    }
    try bench.run([], finish: false)
    let segments = "select string_agg(segment_id || ' ' || size_voxels, ',' order by segment_id) from fgnet.segments"
    #expect(try bench.query(segments) == whole.query(segments))
  }

  @Test func aReplacedSectionIsSegmentedAgainWithItsNeighbourhoodAndNothingElse() throws {
    let bench = try Bench(size: 96, stages: Self.quick)
    try bench.run([(0..<16).map { try bench.write($0) }])
    let before = try bench.finalState()
    try open(bench) { core in
      let operation = try core.text("select max(operation_id)::text from fgnet.operation")
      func files() throws -> [Substring] {
        try core.text("select string_agg(file, ',' order by z) from fgnet.section where state <> 'superseded'")
          .split(separator: ",")
      }
      let asOf = """
        select md5(string_agg(fragment_id || ' ' || segment_id, ',' order by fragment_id))
        from fgnet.membership_as_of(1, \(operation))
        """
      let (then, old) = (try core.text(asOf), try files())
      try core.work([bench.write(3, like: 40)])
      let new = try files()
      let changed = old.indices.filter { old[$0] != new[$0] }
      // Five sections of context on each side, and the edges of the one above.
      #expect(changed == Array(0...9), "\(changed)")
      #expect(try core.text("select max(revision)::text from fgnet.section where z = 3") == "2")
      // What was is there to be asked for, and how it became what is.
      #expect(try core.text(asOf) == then)
      #expect(try core.text("select count(*)::text from fgnet.fragment_history where z = 3") != "0")
      let revised = "select count(*)::text from fgnet.lineage where event = 'revised' and operation_id > \(operation)"
      #expect(try core.text(revised) != "0")
      let path = try core.text("select source_path from fgnet.section where z = 3 and revision = 1")
      #expect(path == bench.watched + "/s3.png")
      // The first bytes once more, under another name: the first rows once more.
      try core.work([bench.write(3, as: "again3.png")])
      #expect(try core.text("select max(revision)::text from fgnet.section where z = 3") == "3")
    }
    #expect(try bench.finalState() == before)
  }
}

extension DaemonCore {
  /// Takes files in and does all there is to do.
  fileprivate func work(_ files: [OfferedFile]) throws {
    inbox.offer(files)
    try run { true }
  }

  fileprivate func text(_ sql: String) throws -> String {
    try record?.connection.execute(sql).optionalText(0, 0) ?? ""
  }

  /// What is set aside now, with names below the watched folder.
  fileprivate func quarantine(_ bench: Bench) throws -> [String] {
    try text(
      "select string_agg(path || ': ' || reason, '|' order by path) from fgnet.quarantine where resolved_at is null"
    ).split(separator: "|").map { String($0.replacing(bench.watched + "/", with: "")) }
  }
}
