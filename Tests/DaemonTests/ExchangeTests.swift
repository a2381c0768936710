import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// What is taken out of the database, and corrections that are brought in.
@Suite(.serialized) struct ExchangeTests {
  private func record<T>(_ bench: Bench, _ body: (Record, VolumeRow) throws -> T) throws -> T {
    try withRecord(bench.configuration) { try body($0, volumeRow($0, "test")) }
  }

  /// Planes of segments as they are now, by section.
  private func planes(_ bench: Bench) throws -> [SectionNumber: [UInt64]] {
    try withSegmentedVolume(bench.configuration, "test") { segmented in
      try Dictionary(uniqueKeysWithValues: segmented.sections.map { ($0.z, try segmented.segments($0).storage) })
    }
  }

  private func exported(_ bench: Bench, _ moment: Moment) throws -> [[UInt64]] {
    let path = bench.folder + "/past.h5"
    try record(bench) { record, volume in
      _ = try PastExport(record: record, volume: volume, moment: moment, output: path).write()
    }
    let labels = try LabelSource.open(path + ":labels")
    return try (0..<labels.count).map { try labels.plane($0).storage }
  }

  /// A late section and corrections change segments; before that they were what they were.
  @Test func segmentsOfAnyMomentAreExported() throws {
    let bench = try Bench(size: 96)
    try bench.run([[0, 1, 2, 4, 5].map { try bench.write($0) }], missing: [3])
    let first = try planes(bench)
    let operation = try record(bench) { record, volume in try record.lastOperation(volume: volume.id) ?? 0 }
    try takeAway(bench, "first", nil)
    try bench.run([[try bench.write(3)]])
    let second = try planes(bench)
    let next = try record(bench) { record, volume in try record.lastOperation(volume: volume.id) ?? 0 }
    let merge = try #require(
      Int64(
        try bench.query(
          """
          select fgnet.merge('test', min(segment_id), max(segment_id), 'one neurite')::text
          from (select segment_id from fgnet.segments order by size_voxels desc limit 2) s
          """)))
    let third = try planes(bench)
    #expect(first[2] != second[2] && second[2] != third[2])
    let hole = [UInt64](repeating: 0, count: 96 * 96)
    let zs = Array(SectionNumber(0)...5)
    #expect(try exported(bench, .operation(operation)) == zs.map { first[$0] ?? hole })
    #expect(try exported(bench, .operation(next)) == zs.map { second[$0] ?? hole })
    #expect(try exported(bench, .operation(merge)) == zs.map { third[$0] ?? hole })
    #expect(try exported(bench, .time("infinity")) == zs.map { third[$0] ?? hole })
    let run = try record(bench) { record, volume in
      try record.connection.execute("select min(run_id) from run where volume_id = $1", [.int(volume.id)]).int(0, 0)
    }
    #expect(try exported(bench, .run(run)) == zs.map { first[$0] ?? hole })

    for (moment, said) in [
      (Moment.section(77), "section 77 of volume \"test\" is not final"), (.run(99), "run 99 is not one of volume"),
      (.operation(0), "operation 0 is not one of volume"),
      (.time("2001-01-01"), "volume test had no final segments after operation 0; choose a later moment"),
    ] {
      let failure = #expect(throws: OperatorError.self) { try exported(bench, moment) }
      #expect(
        failure?.status == .noInput && failure?.description.contains(said) == true, "\(String(describing: failure))")
    }
    let spoken = #expect(throws: OperatorError.self) { try exported(bench, .time("half past nine")) }
    #expect(spoken?.status == .usage && spoken?.description.contains("2026-05-01T12:00+02") == true)
    try tablesAndPoints(bench)
    try corrections(bench)
    try takeAway(bench, "past", .operation(operation))
    try comparePast(bench)

    try record(bench) { record, volume in
      try record.connection.script("delete from label_tile where z = 4")
      #expect(throws: DatabaseError.self) {
        try PastExport(record: record, volume: volume, moment: .run(run), output: bench.folder + "/half.h5").write()
      }
    }
    #expect(!FileManager.default.fileExists(atPath: bench.folder + "/half.h5"))
  }

  private func takeAway(_ bench: Bench, _ name: String, _ moment: Moment?) throws {
    try record(bench) { record, volume in
      _ = try TableExport(record, volume, folder: "\(bench.folder)/\(name)", asOf: moment).writeTables()
      _ = try TableExport(record, volume, folder: "\(bench.folder)/\(name)-points", asOf: moment).writePoints(nil)
    }
  }

  /// What is taken away of a past moment is what was taken away then.
  private func comparePast(_ bench: Bench) throws {
    func text(_ path: String) throws -> String {
      try String(contentsOfFile: "\(bench.folder)/\(path)", encoding: .utf8)
    }
    func columns(_ path: String, _ names: [String]) throws -> [[String]] {
      let table = try CSVTable(text(path))
      let places = try names.map { name in try #require(table.header.firstIndex(of: name), "\(path): \(name)") }
      return table.records.map { record in places.map { record.fields[$0] } }
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: bench.folder + "/first-points").sorted()
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.folder + "/past-points").sorted() == files)
    for file in files { #expect(try text("past-points/\(file)") == text("first-points/\(file)"), "\(file)") }
    for (table, names) in [
      (
        "segments",
        ["volume", "segment_id", "size_voxels", "first_z", "last_z", "sections", "fragments", "min_x", "max_y"]
      ),
      ("segment_sections", ["volume", "segment_id", "z", "area_px", "fragments", "min_y", "max_x"]),
      ("lineage", ["volume", "event", "segment_id", "other_segment_id", "z", "score", "operation_id", "lineage_id"]),
      ("fragments", ["volume", "fragment_id", "segment_id", "z", "label", "area_px", "centroid_y", "centroid_x"]),
      (
        "edges",
        ["volume", "fragment_a", "fragment_b", "z", "kind", "contact_area_px", "score", "accepted", "operation_id"]
      ),
      ("corrections", ["volume", "decision", "segment_a", "segment_b", "undo_with"]),
    ] {
      #expect(try columns("past/\(table).csv", names) == columns("first/\(table).csv", names), "\(table)")
    }
    #expect(try columns("past/sections.csv", ["z", "state"]).map { $0[0] } == ["0", "1", "2", "4", "5"])
    let failure = #expect(throws: OperatorError.self) { try takeAway(bench, "none", .run(99)) }
    #expect(failure?.status == .noInput)
  }

  private func tablesAndPoints(_ bench: Bench) throws {
    let folder = bench.folder + "/tables"
    let lines = try record(bench) { record, volume in
      try TableExport(record, volume, folder: folder).writeTables()
    }
    #expect(lines.count == Record.exportedTables.count)
    for (table, line) in zip(Record.exportedTables, lines) {
      let text = try String(contentsOfFile: "\(folder)/\(table.name).csv", encoding: .utf8)
      let read = try CSVTable(text)
      #expect(line == "\(folder)/\(table.name).csv: \(read.records.count) rows")
      #expect(read.records.allSatisfy { $0.fields.count == read.header.count && $0.fields[0] == "test" })
      let source = ["fragments": "fgnet.fragment", "edges": "fgnet.region_edge"][table.name] ?? "fgnet.\(table.name)"
      #expect(try bench.query("select count(*)::text from \(source)") == "\(read.records.count)", "\(table.name)")
    }
    let fragments = try CSVTable(String(contentsOfFile: folder + "/fragments.csv", encoding: .utf8))
    #expect(fragments.header[1] == "fragment_id" && fragments.header[2] == "segment_id")

    // A tree for each segment: every fragment once, all of them below the first one, parents in contact with them.
    let points = bench.folder + "/points"
    let live = try record(bench) { record, volume in
      _ = try TableExport(record, volume, folder: points).writePoints(nil)
      return try record.liveSegments(volume: volume.id)
    }
    var listed: [String: String] = [:]
    for segment in live {
      let table = try CSVTable(String(contentsOfFile: "\(points)/\(segment).csv", encoding: .utf8))
      #expect(table.header == ["fragment_id", "z_nm", "y_nm", "x_nm", "area_px", "parent_fragment_id"])
      let ids = table.records.map { $0.fields[0] }
      #expect(table.records.filter { $0.fields[5].isEmpty }.map { $0.fields[0] } == ["\(segment)"])
      #expect(table.records.allSatisfy { $0.fields[5].isEmpty || ids.contains($0.fields[5]) })
      for record in table.records { listed[record.fields[0]] = "\(segment)" }
    }
    let members = Dictionary(uniqueKeysWithValues: fragments.records.map { ($0.fields[1], $0.fields[2]) })
    #expect(listed == members)
    let one = try CSVTable(String(contentsOfFile: "\(points)/\(live[0]).csv", encoding: .utf8)).records[0].fields
    let place = try bench.query(
      "select z * 30.0 || ' ' || centroid_y * 6 || ' ' || centroid_x * 6 from fgnet.fragment where fragment_id = \(one[0])"
    ).split(separator: " ").map { Double($0) ?? -1 }
    #expect(zip(one[1...3], place).allSatisfy { abs((Double($0) ?? -2) - $1) < 1e-6 }, "\(one) \(place)")
    let chosen = bench.folder + "/chosen"
    try record(bench) { record, volume in
      _ = try TableExport(record, volume, folder: chosen).writePoints([live[1].rawValue])
      #expect(throws: OperatorError.self) { try TableExport(record, volume, folder: chosen).writePoints([7]) }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: chosen) == ["\(live[1]).csv"])
  }

  private func perform(_ bench: Bench, _ text: String, dryRun: Bool = false) throws -> [String] {
    try record(bench) { record, _ in
      try ImportCorrectionsCommand.perform(
        CorrectionsFile(CSVTable(text), volume: "test"), on: record, dryRun: dryRun, name: "file.csv")
    }
  }

  private func corrections(_ bench: Bench) throws {
    let largest = """
      select string_agg(segment_id::text, ' ' order by size_voxels desc) from fgnet.segments
      where segment_id not in (select segment_a from fgnet.correction)
      """
    let ids = try bench.query(largest).split(separator: " ").map(String.init)
    // A voxel of the third one.
    let third = try #require(UInt64(ids[2]))
    let planes = try planes(bench)
    let z = try #require(planes.keys.sorted().first { planes[$0]?.contains(third) == true })
    let voxel = try #require(planes[z]?.firstIndex(of: third))
    let before = try bench.query("select count(*)::text from fgnet.operation")
    let good = """
      action,a,b,reason,actor
      merge,\(ids[0]),\(ids[1]),"one neurite, ""really\"\"\",Ada
      annotate,\(ids[1]),,of two,
      lock,\(z):\(voxel / 96):\(voxel % 96),,traced,Bob

      """
    let dry = try perform(bench, good, dryRun: true)
    #expect(
      dry == [
        "line 2: merge can be done", "line 3: annotate can be done", "line 4: lock can be done",
        "3 corrections can be made; nothing was changed",
      ])
    #expect(try bench.query("select count(*)::text from fgnet.operation") == before)

    let bad = good + "merge,7,\(ids[2]),x,\nsplit,\(ids[3]),\(ids[4]),x,\nmove,1,2,x,\nlock,0:900:0,,x,\n"
    let failure = #expect(throws: OperatorError.self) { try perform(bench, bad) }
    #expect(failure?.status == .badData)
    #expect(
      failure?.description.split(separator: "\n").map(String.init) == [
        "file.csv, line 5: a: there is no segment 7 in this volume",
        "file.csv, line 6: fragment_b: \(ids[4]) is not a final fragment of segment \(ids[3])",
        "file.csv, line 7: action: move is none; there are merge, split, confirm, lock, annotate",
        "file.csv, line 8: y 900 is outside of volume \"test\", which has rows 0 to 95",
        "nothing was changed: 4 of 7 lines cannot be done",
      ])
    #expect(try bench.query("select count(*)::text from fgnet.operation") == before, "all or nothing")

    #expect(try perform(bench, good).last == "3 corrections made")
    #expect(
      try bench.query(
        """
        select string_agg(kind || ' ' || actor || ' ' || reason, '; ' order by operation_id) from fgnet.operation
        where kind in ('merge', 'annotate', 'lock') and reason <> 'one neurite' and actor <> 'fgnet'
        """) == "merge Ada one neurite, \"really\"; lock Bob traced")
    #expect(try bench.query("select note from fgnet.annotations where segment_id = \(min(ids[0], ids[1]))") == "of two")
    #expect(try bench.query("select segment_a::text from fgnet.corrections where decision = 'lock'") == ids[2])
    let faults = try record(bench) { record, volume in try record.checkLineage(volume: volume.id).faults }
    #expect(faults == [])
  }

  @Test func commaSeparatedValuesAreRead() throws {
    let table = try CSVTable("\u{FEFF}a,b\r\n1,\"x, \"\"y\"\"\nz\"\n\n,\n\"\"\n")
    #expect(table.header == ["a", "b"])
    #expect(
      table.records == [
        .init(line: 2, fields: ["1", "x, \"y\"\nz"]), .init(line: 5, fields: ["", ""]), .init(line: 6, fields: [""]),
      ])
    #expect(try CSVTable("a").records == [])
    for (text, said) in [
      ("", "there is no line of column names"), ("a\n\"b", "line 2: a quoted field does not end"),
      ("a\nb\"c", "line 2: a quote within a field"), ("a\n\"b\"c", "line 2: a quote within a field"),
    ] {
      let failure = #expect(throws: OperatorError.self) { try CSVTable(text) }
      #expect(failure?.description.contains(said) == true, "\(String(describing: failure))")
    }
  }

  @Test func correctionsAreReadAndFaultsNamed() throws {
    func read(_ text: String) throws -> CorrectionsFile { try CorrectionsFile(CSVTable(text), volume: nil) }
    let good = try read(
      "Action, volume ,a,b,reason\nSPLIT,v,5 6,,glia\nsplit,v,5,1:2:3,x\nconfirm,v,7,8,seen\nmerge,v,-1:0:0,9,y\n")
    #expect(good.faults.isEmpty)
    #expect(
      good.edits.map(\.edit) == [
        Edit(action: .split, volume: "v", a: .fragments([5, 6]), reason: "glia"),
        Edit(action: .split, volume: "v", a: .id(5), b: .voxel(z: 1, y: 2, x: 3), reason: "x"),
        Edit(action: .confirm, volume: "v", a: .id(7), b: .id(8), reason: "seen"),
        Edit(action: .merge, volume: "v", a: .voxel(z: -1, y: 0, x: 0), b: .id(9), reason: "y"),
      ])
    #expect(good.edits.map(\.line) == [2, 3, 4, 5])
    let bad = try read(
      "action,volume,a,b,reason\nmerge,v,5,,x\nlock,v,5,6,x\nlock,v,5,,\nlock,,5,,x\nlock,v,,,x\nlock,v,5:6,,x\nlock,v,0,,x\n"
        + "split,v,5 x,,x\n,v,5,,x\nlock,v\n")
    #expect(bad.edits.isEmpty)
    #expect(
      bad.faults.map { "\($0.line) \($0.text)" } == [
        "2 b: merge takes two places", "3 b: lock takes one place", "4 reason: say why",
        "5 volume: name it, there are several", "6 a: it is missing",
        "7 a: 5:6 is no number of a fragment or segment, and no voxel z:y:x",
        "8 a: 0 is no number of a fragment or segment, and no voxel z:y:x",
        "9 a: 5 x are no numbers of fragments; without b, they are what is taken out of the segment",
        "10 action: it is missing; there are merge, split, confirm, lock, annotate", "11 2 fields under 5 names",
      ])
    for (text, said) in [
      ("action,a,reason,colour\n", "line 1: there is no column colour"),
      ("action,a\n", "line 1: the column reason is not there"),
      ("action,a,a,reason\n", "line 1: the column a is there twice"),
    ] {
      let failure = #expect(throws: OperatorError.self) { try read(text) }
      #expect(failure?.description.contains(said) == true, "\(String(describing: failure))")
    }
  }

  @Test func optionsThatDoNotGoTogetherAreRefused() throws {
    for wrong in [
      ["--tables", "--points", "x"], ["--for-training", "--as-of-section", "3", "x"], ["--final", "--tables", "x"],
      ["--as-of-section", "3", "--as-of-run", "1", "x"], ["--segments", "1", "--tables", "x"],
    ] {
      #expect(throws: (any Error).self, "\(wrong)") { try ExportCommand.parse(wrong) }
    }
    let past = try ExportCommand.parse(["--as-of-time", "2026-05-01 12:00", "x.h5"]).past.moment
    #expect(past == .time("2026-05-01 12:00"))
    #expect(try ExportCommand.parse(["--tables", "--as-of-section", "3", "x"]).past.moment == .section(3))
    #expect(try ExportCommand.parse(["--points", "--as-of-run", "3", "--segments", "1", "x"]).past.moment == .run(3))
    #expect(throws: (any Error).self) { try VerifyCommand.parse(["--lineage", "--repair"]) }
  }
}
