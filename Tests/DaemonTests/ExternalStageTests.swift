import DB
import Domain
import Foundation
import Plugins
import Testing
import Volumes

@testable import Daemon

/// Stages from outside in the whole way of a section: each kind replaced, and what becomes of sections that one fails on.
@Suite(.serialized) struct ExternalStageTests {
  static let script = Bench.root + "Tests/DaemonTests/Stages/lab.py"
  static let ours = "agglomerate: {look_behind: 2, look_ahead: 1, agreement_shift: 0}"
  static let zs = Array(SectionNumber(0)..<6)

  /// A bench where stages of these kinds are programs.
  static func bench(_ kinds: [StageKind], options: String = "", timeLimit: String = "60s") throws -> Bench {
    let bench = try Bench(size: 96)
    bench.configuration = try configuration(bench, kinds, options: options, timeLimit: timeLimit)
    return bench
  }

  static func configuration(
    _ bench: Bench, _ kinds: [StageKind], options: String = "", timeLimit: String = "60s"
  ) throws -> DaemonConfiguration {
    let external = kinds.map {
      """
        - name: lab
          kind: \($0.rawValue)
          command: [/usr/bin/python3, \(script), \($0.rawValue)]
          time_limit: \(timeLimit)
          environment: {PYTHONPATH: \(Bench.root)stages/python, PYTHONDONTWRITEBYTECODE: 1}
      """
    }
    let own = kinds.contains(.agglomerate) ? "agglomerate: {name: lab}" : ours
    return try DaemonConfiguration.parse(
      """
      state_directory: \(bench.folder)/state
      volumes: [{name: test, folder: \(bench.watched)}]
      external_stages:
      \(external.joined(separator: "\n"))
      stages:
        denoise: \(kinds.contains(.denoise) ? "[{name: lab\(options)}]" : "[]")
        affinity: \(kinds.contains(.affinity) ? "{name: lab}" : "{model: \(Bench.model)}")
        watershed: \(kinds.contains(.watershed) ? "{name: lab}" : "{}")
        \(own)
      """, path: "test.yaml")
  }

  /// Lets inputs fail, counted from 1 as the stage first sees them.
  static func poison(_ bench: Bench, _ faults: [Int: String]) throws {
    let folder = bench.configuration.stateDirectory + "/stages/lab"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try faults.map { "\($0) \($1)" }.joined(separator: "\n").write(
      toFile: folder + "/poison", atomically: true, encoding: .utf8)
  }

  static func cure(_ bench: Bench) throws {
    try FileManager.default.removeItem(atPath: bench.configuration.stateDirectory + "/stages/lab/poison")
  }

  /// What must not depend on how it came about, without the rows of sections themselves.
  static func results(_ bench: Bench) throws -> String {
    try bench.query(
      """
      select md5((select string_agg(f::text, ',' order by f.fragment_id) from (select fragment_id, area_px, state,
        min_y, max_x from fgnet.fragment) f) || (select coalesce(string_agg(e::text, ',' order by e.fragment_a, e.fragment_b), '')
        from (select fragment_a, fragment_b, score, accepted from fgnet.region_edge) e))
        || ' ' || (select count(*) from fgnet.segment where state = 'live') || ' ' || (select count(*) from fgnet.fragment)
      """)
  }

  /// What is to be declared missing where a section did not come: a volume may just end before.
  static func missing(_ z: SectionNumber) -> [SectionNumber] { z == zs.last ? [] : [z] }

  @Test(arguments: StageKind.allCases)
  func eachKindIsReplaced(kind: StageKind) throws {
    let bench = try Self.bench([kind], options: ", gain: 0.9")
    try bench.run([Self.zs.map { try bench.write($0) }])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "6")
    let fingerprint = try bench.query("select fingerprint from fgnet.run")
    #expect(fingerprint.contains("lab/1 sha256=") && fingerprint.contains("voxel=30.0,6.0,6.0"), "\(fingerprint)")
    #expect(fingerprint.contains("gain=0.9") == (kind == .denoise))
    #expect(try bench.query("select count(*)::text from fgnet.fragment where state = 'final'") != "0")
    #expect(try bench.query("select count(*)::text from fgnet.region_edge where accepted and kind = 'between'") != "0")
    guard kind == .affinity else { return }
    // Again from the start, one by one: the same, to the last bit.
    let again = try Self.bench([kind], options: ", gain: 0.9")
    try again.run(Self.zs.map { [try again.write($0)] })
    #expect(try Self.results(again) == Self.results(bench))
  }

  @Test(arguments: [
    (StageKind.denoise, "crash", "ended by signal 6"), (.denoise, "hang", "no answer within its time_limit"),
    (.affinity, "nan", "has the shape [2, 96, 96] instead of"), (.watershed, "nan", "is out of range"),
  ])
  func aSectionThatAStageFailsOnIsSetAsideAndTheRestGoesOn(kind: StageKind, fault: String, reason: String) throws {
    let limit = fault == "hang" ? "2s" : "60s"
    let bench = try Self.bench([kind], timeLimit: limit)
    try Self.poison(bench, [3: fault])
    try bench.run([Self.zs.map { try bench.write($0) }])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "5")
    // Images are read ahead, so the third that a denoise stage sees may be any.
    let aside = "select string_agg(z::text, ',') from fgnet.sections_set_aside"
    let z = try #require(SectionNumber(try bench.query(aside)))
    let found = try bench.query("select set_aside_reason from fgnet.sections where z = \(z)")
    #expect(found.hasPrefix("stage lab: ") && found.contains(reason), "\(found)")
    #expect(try bench.query("select count(*)::text from fgnet.fragment where z = \(z)") == "0")
    let products = try bench.stored().filter { $0.hasPrefix(sectionPrefix(z)) && !isImageName($0) }
    #expect(products.isEmpty, "nothing half written")
    // As if it had never come.
    let without = try Self.bench([kind], timeLimit: limit)
    try without.run([Self.zs.filter { $0 != z }.map { try without.write($0) }], missing: Self.missing(z))
    #expect(try Self.results(bench) == Self.results(without))

    // It stays aside over a restart, until somebody wants it.
    try bench.run([])
    #expect(try bench.query(aside) == "\(z)")
    try Self.cure(bench)
    let taken = try withRecord(bench.configuration) { record in
      try record.retry(volume: volumeRow(record, "test").id, run: nil)
    }
    #expect(taken == [z])
    try bench.run([])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "6")
    #expect(
      try bench.query(
        "select string_agg(kind, ',' order by operation_id) from fgnet.operation where kind in ('set_aside', 'retry')")
        == "set_aside,retry")
    guard kind == .watershed else { return }
    // Then all is as if nothing had been.
    let whole = try Self.bench([kind], timeLimit: limit)
    try whole.run([Self.zs.map { try whole.write($0) }])
    #expect(try Self.results(bench) == Self.results(whole))
  }

  @Test func otherStagesOrOtherBytesTakeASectionUpAgain() throws {
    let bench = try Self.bench([.denoise])
    try Self.poison(bench, [2: "refuse", 4: "refuse"])
    try bench.run([Self.zs.map { try bench.write($0) }])
    let aside = try bench.query("select string_agg(z::text, ',' order by z) from fgnet.sections_set_aside")
    let zs = aside.split(separator: ",").compactMap { SectionNumber($0) }
    try #require(zs.count == 2)
    try bench.run([[try bench.write(zs[0], like: 20)]])
    #expect(try bench.query("select string_agg(z::text, ',') from fgnet.sections_set_aside") == "\(zs[1])")
    #expect(try bench.query("select state from fgnet.sections where z = \(zs[0])") == "final")
    try Self.cure(bench)
    try bench.run([])
    #expect(try bench.query("select string_agg(z::text, ',') from fgnet.sections_set_aside") == "\(zs[1])")
    bench.configuration = try Self.configuration(bench, [.denoise], options: ", gain: 0.5")
    try bench.run([])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "6")
  }

  @Test func finalRowsOfASectionThatFailsLaterAreTakenBack() throws {
    let bench = try Self.bench([.denoise])
    try bench.run([Self.zs.map { try bench.write($0) }])
    #expect(try bench.query("select count(*)::text from fgnet.fragment where z = 3") != "0")
    // The first image that it then sees, of the section or of one beside it.
    try Self.poison(bench, [1: "crash"])
    try bench.run([[try bench.write(3, like: 30)]])
    let z = try #require(
      SectionNumber(try bench.query("select string_agg(z::text, ',') from fgnet.sections_set_aside")))
    #expect(try bench.query("select count(*)::text from fgnet.fragment where z = \(z)") == "0")
    #expect(
      try bench.query("select count(*)::text from fgnet.fragment_history where z = \(z) and reason = 'superseded'")
        != "0")
    let without = try Self.bench([.denoise])
    let others = try Self.zs.filter { $0 != z }.map { try without.write($0, like: $0 == 3 ? 30 : $0) }
    try without.run([others], missing: Self.missing(z))
    #expect(try Self.results(bench) == Self.results(without))
    // The log replays to the tables.
    #expect(
      try bench.query(
        """
        select count(*)::text from fgnet.fragment f join fgnet.segment s using (volume_id, segment_id)
        full join fgnet.membership_as_of(1, (select max(operation_id) from fgnet.operation)) m using (fragment_id)
        where m.segment_id is distinct from s.live_id
        """) == "0")
  }

  @Test func aDecisionThatFailsIsAnAlarmAndIsMadeLater() throws {
    let bench = try Self.bench([.agglomerate])
    try Self.poison(bench, [2: "crash"])
    var alarms: Set<String> = []
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.onProgress = { [unowned core] in
        for alarm in core.alarms.alarms where alarms.insert(alarm.text).inserted { try? Self.cure(bench) }
      }
    }
    #expect(alarms.contains { $0.contains("stage lab: it was ended by signal 6") }, "\(alarms)")
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "6")
  }

  // MARK: The configuration

  static func faults(_ external: String, _ stages: String = "denoise: [{name: lab}]") -> [String] {
    do {
      let configuration = try DaemonConfiguration.parse(
        """
        state_directory: /nowhere
        volumes: [{name: a, folder: /data/a}]
        external_stages:
        \(external)
        stages:
          affinity: {enabled: false}
          watershed: {enabled: false}
          agglomerate: {enabled: false}
          \(stages)
        """, path: "test.yaml")
      _ = try StageMaker(configuration, log: .silent).make()
      return []
    } catch { return "\(error)".split(separator: "\n").map(String.init) }
  }

  @Test(arguments: [
    ("- {name: lab, kind: filter, command: [/bin/true]}", "external_stages[0].kind must be one of denoise, affinity"),
    ("- {name: lab, kind: denoise}", "must have either command: [program, argument, ...] or library"),
    ("- {name: lab, kind: denoise, command: [/bin/true], library: /x.so}", "must have either"),
    ("- {name: lab, kind: denoise, command: [true]}", "must begin with the absolute path of a program"),
    ("- {name: lab, kind: denoise, command: [/bin/true], memory: 3GiB}", "unknown key external_stages[0].memory"),
    ("- {name: lab, kind: denoise, command: [/bin/true], time_limit: never}", "time_limit must be a time"),
    ("- {name: lab, kind: denoise, library: /x.so, memory_limit: 3GiB}", "is for commands"),
    ("- {name: median, kind: denoise, command: [/bin/true]}", "median is the name of a built-in denoise stage"),
    (
      "- {name: lab, kind: denoise, command: [/no/such/program]}",
      "the program /no/such/program cannot be run: No such file"
    ),
    ("- {name: lab, kind: denoise, command: [/bin/true]}", "external_stages[0] (lab): it ended with status 0"),
    ("- {name: lab, kind: denoise, command: [/bin/cat]}", "its kind is missing"),
    ("- {name: lab, kind: denoise, library: /no/such.so}", "/no/such.so is not there"),
    ("- {name: other, kind: denoise, command: [/bin/true]}", "there is no denoise stage \"lab\""),
    ("- {name: lab, kind: watershed, command: [/bin/true]}", "there is no denoise stage \"lab\""),
  ])
  func eachFaultOfAStageIsNamed(external: String, expected: String) {
    let found = Self.faults("  " + external)
    #expect(found.count == 1 && found.first?.contains(expected) == true, "\(found)")
  }

  @Test func optionsAreCheckedByTheStagesOwnDescription() {
    let lab = """
        - name: lab
          kind: denoise
          command: [/usr/bin/python3, \(Self.script), denoise]
          environment: {PYTHONPATH: \(Bench.root)stages/python}
      """
    #expect(Self.faults(lab).isEmpty)
    let found = Self.faults(lab, "denoise: [{name: lab, gain: 2, other: 1}]")
    #expect(found.count == 2, "\(found)")
    #expect(
      found.contains {
        $0.contains("stages.denoise[0].gain: is 2, a whole number, but must be a number from 0.0 to 1.0")
      })
    // Who does not use it, does not start it.
    #expect(
      Self.faults("  - {name: lab, kind: denoise, command: [/bin/true]}", "denoise: [{name: lab, enabled: false}]")
        .isEmpty)
  }

  @Test func resultsAreNamedByTheFilesThatMadeThem() throws {
    let folder = NSTemporaryDirectory() + "fgnetd-hash-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script = folder + "/stage.py"
    func hash(_ text: String, environment: String = "{}") throws -> String {
      try text.write(toFile: script, atomically: true, encoding: .utf8)
      let configuration = try DaemonConfiguration.parse(
        """
        state_directory: /nowhere
        volumes: [{name: a, folder: /data/a}]
        external_stages: [{name: lab, kind: denoise, command: [/usr/bin/python3, \(script)], environment: \(environment)}]
        """, path: "test.yaml")
      return try ExternalStages.source(configuration.externalStages[0], configuration).contentHash
    }
    let first = try hash("a")
    #expect(try hash("a") == first)
    #expect(try hash("b") != first)
    #expect(try hash("a", environment: "{GAIN: 2}") != first)
  }
}
