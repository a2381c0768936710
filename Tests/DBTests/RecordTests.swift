import DB
import Domain
import Testing

@Suite struct SectionTests {
  @Test func receivingSaysWhatTheFileIs() throws {
    let stack = try TestVolume()
    guard case .new(let first, nil) = try stack.receive(0, bytes: 1) else {
      Issue.record("the first section is new")
      return
    }
    #expect(try stack.receive(0, bytes: 1, path: "/copy.tif") == .duplicate(z: 0))
    guard case .new(let second, 0?) = try stack.receive(1, bytes: 1) else {
      Issue.record("equal bytes at another z are a new section that names the other")
      return
    }
    guard case .revision(let third, 2) = try stack.receive(0, bytes: 2) else {
      Issue.record("other bytes are a revision")
      return
    }
    #expect(Set([first, second, third]).count == 3)
    let rows = try stack.record.sections(stack.volume)
    #expect(rows.map(\.z) == [0, 1])
    #expect(rows.map(\.revision) == [2, 1])
    #expect(rows.map(\.state) == [.received, .received])
    #expect(rows[1].note == "the same bytes as section 0")
    let states = try stack.database.connection.execute("select state from section where section_id = $1", [.int(first)])
    #expect(try states.text(0, 0) == "superseded", "the old row stays")
    #expect(
      try stack.record.knownFiles(stack.volume).map(\.path).sorted()
        == ["/copy.tif", "/scope/0-1.tif", "/scope/0-2.tif", "/scope/1-1.tif"])
  }

  @Test func anotherShapeIsRefusedAndLeavesNothing() throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    let outcome = try stack.record.receive(
      volume: stack.volume, z: 1, sha256: String(repeating: "a", count: 64), path: "/x.tif", size: 1, mtimeNs: 1,
      height: 128, width: 127, bitDepth: 8, meanIntensity: nil, run: stack.run)
    #expect(outcome == .wrongSize(expectedHeight: 128, expectedWidth: 128))
    #expect(try stack.record.sections(stack.volume).count == 1)
    #expect(try stack.record.knownFiles(stack.volume).count == 1)
  }

  @Test func aMissingSectionThatComesFillsItsGap() throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    #expect(try stack.record.declareMissing(volume: stack.volume, z: 1, run: stack.run))
    #expect(try !stack.record.declareMissing(volume: stack.volume, z: 1, run: stack.run), "declared twice")
    #expect(try !stack.record.declareMissing(volume: stack.volume, z: 0, run: stack.run), "it is there")
    #expect(try stack.record.status(stack.volume).sections == [.received: 1, .missing: 1])
    guard case .filledGap = try stack.receive(1, bytes: 2) else {
      Issue.record("the section fills the gap")
      return
    }
    let rows = try stack.record.sections(stack.volume)
    #expect(rows.map(\.state) == [.received, .received])
    #expect(rows[1].revision == 1, "as if it had come in time")
  }

  @Test func aFinishedVolumeTakesNothingAboveItsEnd() throws {
    let stack = try TestVolume()
    try stack.receive(4, bytes: 1)
    #expect(throws: DatabaseError.self) { try stack.record.setFinished(volume: stack.volume, lastZ: 3) }
    try stack.record.setFinished(volume: stack.volume, lastZ: 4)
    #expect(throws: DatabaseError.conflict("volume cortex is finished at section 4, so section 5 is not taken")) {
      try stack.receive(5, bytes: 2)
    }
    try stack.record.setFinished(volume: stack.volume, lastZ: nil)
    try stack.receive(5, bytes: 2)
    let kinds = try stack.database.connection.execute("select kind from operation order by operation_id")
    #expect(try kinds.table(columns: 1) == [["finish"], ["reopen"]])
  }

  @Test func aRememberedFileIsKnownByItsStampOnly() throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1, path: "/a 'quoted' \\ ä.tif")
    let known = try stack.record.knownFiles(stack.volume)
    #expect(known.contains(FileStamp(path: "/a 'quoted' \\ ä.tif", size: 100, mtimeNs: 7)))
    #expect(!known.contains(FileStamp(path: "/a 'quoted' \\ ä.tif", size: 100, mtimeNs: 8)))
  }

  @Test func aFileIsKnownWhenAllItsSectionsAre() throws {
    let stack = try TestVolume()
    func receive(_ plane: Int, of planes: Int, mtime: Int64) throws {
      _ = try stack.record.receive(
        volume: stack.volume, z: SectionNumber(plane), sha256: String(repeating: "\(plane)", count: 64), path: "/s.mrc",
        size: 9, mtimeNs: mtime, height: 8, width: 8, bitDepth: 8, meanIntensity: nil,
        facts: FileFacts(plane: plane, planes: planes, pixelSize: (4, 5), warning: plane == 1 ? "odd" : nil),
        run: stack.run)
    }
    func known() throws -> [Int64] { try stack.record.knownFiles(stack.volume).map(\.mtimeNs) }
    try receive(0, of: 2, mtime: 1)
    #expect(try known() == [])
    try receive(1, of: 2, mtime: 1)
    #expect(try known() == [1])
    try receive(0, of: 3, mtime: 2)
    try receive(1, of: 3, mtime: 2)
    #expect(try known() == [], "it has grown")
    try receive(2, of: 3, mtime: 2)
    #expect(try known() == [2])
    #expect(try stack.record.sections(stack.volume).map(\.plane) == [0, 1, 2])
    let warnings = try stack.record.warnings(stack.volume, limit: 5)
    #expect(warnings.count == 1 && warnings.lowest == [SectionWarning(z: 1, text: "odd")])
    let sizes = try stack.database.connection.execute("select distinct pixel_y_nm, pixel_x_nm from fgnet.sections")
    #expect(try sizes.table(columns: 2) == [["4", "5"]])
  }

  @Test func quarantineHasOneOpenRowForEachFile() throws {
    let stack = try TestVolume()
    try stack.record.quarantine(path: "/b.tif", size: 1, mtimeNs: 1, reason: "cut short")
    try stack.record.quarantine(path: "/b.tif", size: 2, mtimeNs: 2, reason: "still cut short")
    try stack.record.quarantine(path: "/a.tif", size: 3, mtimeNs: 3, reason: "not an image")
    let open = try stack.record.openQuarantine()
    #expect(open.map(\.file.path) == ["/a.tif", "/b.tif"])
    #expect(open[1].reason == "still cut short" && open[1].file.size == 2)
    #expect(try stack.record.resolveQuarantine(path: "/b.tif"))
    #expect(try !stack.record.resolveQuarantine(path: "/b.tif"))
    try stack.record.quarantine(path: "/b.tif", size: 4, mtimeNs: 4, reason: "again")
    #expect(try stack.record.status(stack.volume).openQuarantine == 2)
    #expect(try stack.database.connection.execute("select from quarantine").count == 3, "history stays")
  }

  @Test func oneDaemonForEachVolume() throws {
    let stack = try TestVolume()
    #expect(try stack.record.lockVolume(stack.volume))
    do {
      let other = Record(try Connection(stack.database.conninfo))
      #expect(try !other.lockVolume(stack.volume))
      let second = try other.openVolume(name: "retina", voxelSize: VoxelSize(z: 30, y: 6, x: 6)).id
      #expect(try other.lockVolume(second), "another volume is free")
    }
    #expect(throws: DatabaseError.self) {
      try stack.record.openVolume(name: "cortex", voxelSize: VoxelSize(z: 30, y: 4, x: 4))
    }
    let again = try stack.record.openVolume(name: "cortex", voxelSize: VoxelSize(z: 40, y: 4, x: 4))
    #expect(again.id == stack.volume && again.height == nil)
  }
}

@Suite struct CommitTests {
  private func fragments(_ z: SectionNumber, _ count: Int) -> [(summary: FragmentSummary, id: FragmentID)] {
    (1...count).map { label in
      let summary = FragmentSummary(
        label: UInt32(label), area: 10 * label, minY: 0, minX: Int32(10 * label), maxY: 10, maxX: Int32(10 * label + 5),
        centroidY: 5, centroidX: Double(10 * label))
      return (summary, FragmentID(z: z, signature: 3, label: UInt32(label)))
    }
  }

  private func id(_ z: SectionNumber, _ label: UInt32) -> FragmentID { FragmentID(z: z, signature: 3, label: label) }

  private func join(_ a: FragmentID, _ b: FragmentID, _ score: Float = 0.75) -> EdgeRow {
    EdgeRow(a: a, b: b, contactArea: 5, meanAffinity: 0.5, score: score, accepted: true)
  }

  private func commit(
    _ z: SectionNumber, _ count: Int, _ edges: [EdgeRow], settled: [SettledOverlap] = [], sectionID: Int64? = nil
  ) -> SectionCommit {
    SectionCommit(
      z: z, file: "z\(z).h5", signature: "s\(z)", fragments: fragments(z, count), edges: edges, settled: settled,
      sectionID: sectionID)
  }

  /// Two segments in section 0, both continued in section 1.
  private func twoColumns() throws -> TestVolume {
    let stack = try TestVolume()
    for z in 0...2 as ClosedRange<SectionNumber> { try stack.receive(z, bytes: Int(z) + 1) }
    try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [commit(0, 2, []), commit(1, 2, [join(id(0, 1), id(1, 1)), join(id(0, 2), id(1, 2))])])
    return stack
  }

  @Test func aMergeOfOldSegmentsLeavesTheirFragmentsAlone() throws {
    let stack = try twoColumns()
    let versions = "select fragment_id, xmin, ctid from fragment where z < 2 order by 1"
    let before = try stack.database.connection.execute(versions).table(columns: 3)
    let outcome = try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [commit(2, 1, [join(id(1, 1), id(2, 1), 0.9), join(id(1, 2), id(2, 1), 0.625)])])
    #expect(try stack.database.connection.execute(versions).table(columns: 3) == before)
    #expect(!outcome.isRevision)
    let row = try stack.database.connection.execute(
      """
      select event, segment_id, other_segment_id, z, cause_fragment_a, cause_fragment_b, score, run_id, revision,
        operation from lineage where event = 'merged'
      """)
    #expect(
      try row.table(columns: 10) == [
        [
          "merged", "\(id(0, 1))", "\(id(0, 2))", "2", "\(id(1, 2))", "\(id(2, 1))", "0.625", "\(stack.run)", "1",
          "section_final",
        ]
      ])
    let segments = try stack.database.connection.execute(
      """
      select segment_id, state, size_voxels, volume_um3, first_z, last_z, sections, fragments, min_x, max_x, centroid_z,
        centroid_x from segments
      """)
    // Areas 10, 20, 10, 20, 10 px of 40 x 4 x 4 nm; centroid z = (10 + 20 + 2 x 10) / 70.
    #expect(
      try segments.table(columns: 12).map { Array($0.dropLast(2)) } == [
        ["\(id(0, 1))", "live", "70", "4.48e-05", "0", "2", "3", "5", "10", "25"]
      ])
    #expect(abs(try segments.double(0, 10) - 50.0 / 70) < 1e-12)
    #expect(abs(try segments.double(0, 11) - (10 * 30 + 20 * 40) / 70.0) < 1e-12)
    let crossed = try stack.database.connection.execute(
      "select z, area_px, fragments, final from segment_sections order by z")
    #expect(try crossed.table(columns: 4) == [["0", "30", "2", "t"], ["1", "30", "2", "t"], ["2", "10", "1", "t"]])
    #expect(
      try stack.database.connection.execute("select z, state, fragments from sections order by z").table(columns: 3)
        == [["0", "final", "2"], ["1", "final", "2"], ["2", "final", "1"]])
  }

  @Test func aPreviewNeverMergesAndIsSettledLater() throws {
    let stack = try twoColumns()
    let preview = [10, 11, 12].map { FragmentID(z: 2, signature: 9, label: $0) }
    let shown = SectionCommit(
      z: 2, file: "p.h5", signature: "p",
      fragments: preview.map { id in
        var summary = fragments(2, 1)[0].summary
        summary.label = id.label
        return (summary, id)
      }, edges: [join(id(1, 2), preview[0]), join(id(1, 1), preview[0])])
    #expect(try stack.record.commitProvisional(volume: stack.volume, run: stack.run, shown))
    #expect(try stack.record.commitProvisional(volume: stack.volume, run: stack.run, shown), "again")
    let places = "select segment_id from fragment where z = 2 order by fragment_id"
    #expect(
      try stack.database.connection.execute(places).table(columns: 1)
        == [["\(id(0, 1))"], ["\(preview[1])"], ["\(preview[2])"]])
    #expect(try stack.liveSegments().count == 2)
    let events = "select count(*) from lineage where z = 2"
    #expect(try stack.database.connection.execute(events).int(0, 0) == 0, "a preview is no event")
    let overlaps = [
      SettledOverlap(provisional: preview[1], final: id(2, 1), pixels: 3),
      SettledOverlap(provisional: preview[1], final: id(2, 2), pixels: 4),
      SettledOverlap(provisional: preview[0], final: id(2, 1), pixels: 9),
    ]
    let outcome = try stack.record.commitFinal(
      volume: stack.volume, run: stack.run, [commit(2, 2, [join(id(1, 2), id(2, 2))], settled: overlaps)])
    let settled = outcome.events.filter { $0.kind == .settled }
    #expect(settled.map(\.segment.rawValue) == [preview[1].rawValue])
    #expect(settled.map(\.other?.rawValue) == [id(0, 2).rawValue])
    let rows = try stack.database.connection.execute(
      "select segment_id, state, successor_id from segment where segment_id >= $1 order by 1",
      [.int(Int64(preview[0].rawValue))])
    #expect(
      try rows.table(columns: 3) == [["\(preview[1])", "retired", "\(id(0, 2))"], ["\(preview[2])", "retired", "-"]])
    #expect(try !stack.record.commitProvisional(volume: stack.volume, run: stack.run, shown), "final rows stay visible")
    #expect(try stack.record.status(stack.volume).lastOperation?.kind == "section_final")
  }

  @Test func aRevisionKeepsWhatWasThere() throws {
    let stack = try twoColumns()
    let before = try stack.record.status(stack.volume).lastOperation
    let old = try stack.membership()
    try stack.receive(0, bytes: 77)
    let replacement = FragmentID(z: 0, signature: 4, label: 1)
    let outcome = try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [
        SectionCommit(
          z: 0, file: "r.h5", signature: "r", fragments: [(fragments(0, 1)[0].summary, replacement)], edges: []),
        commit(1, 2, [join(replacement, id(1, 1)), join(replacement, id(1, 2))]),
      ])
    #expect(outcome.isRevision)
    #expect(
      try stack.membership()
        == [replacement, id(1, 1), id(1, 2)].reduce(into: [:]) { $0[$1] = SegmentID(rawValue: replacement.rawValue) })
    let history = try stack.database.connection.execute(
      "select fragment_id, reason from fragment_history order by 1")
    #expect(
      try history.table(columns: 2) == [
        ["\(id(0, 1))", "superseded"], ["\(id(0, 2))", "superseded"], ["\(id(1, 1))", "reassigned"],
        ["\(id(1, 2))", "reassigned"],
      ])
    #expect(try stack.membership(asOf: before?.id ?? 0) == old)
    #expect(try stack.record.membership(volume: stack.volume, z: 1, asOf: before?.id).count == 2)
  }

  /// Nothing was analysed: the planner knows as little of the tables as in a new volume.
  @Test func aCommitReadsTheRowsOfItsNeighboursOnly() throws {
    let stack = try TestVolume()
    func add(_ z: SectionNumber) throws {
      try stack.receive(z, bytes: Int(z) + 1)
      let edges = z == 0 ? [] : (1...14).map { join(id(z - 1, $0), id(z, $0)) }
      try stack.record.commitFinal(volume: stack.volume, run: stack.run, [commit(z, 14, edges)])
    }
    func rowsRead() throws -> [Int64] { try ["fragment", "segment"].map(stack.rowsRead) }
    for z in 0..<60 as Range<SectionNumber> { try add(z) }
    let before = try rowsRead()
    try add(60)
    let read = zip(try rowsRead(), before).map { $0 - $1 }
    #expect(read.allSatisfy { $0 < 100 }, "\(read) rows of fragment and segment, of 840 and 14")
  }

  @Test func mistakesAreNamedAndLeaveNothing() throws {
    let stack = try twoColumns()
    let tables = try stack.finalTables()
    let mistakes: [(String, [SectionCommit])] = [
      ("an edge to nothing", [commit(2, 1, [join(id(1, 9), id(2, 1))])]),
      ("an edge of another section", [commit(2, 1, [join(id(0, 1), id(1, 1))])]),
      ("a section never taken in", [commit(3, 1, [])]),
      ("results of an older row", [commit(2, 1, [], sectionID: 1)]),
      ("a section twice", [commit(2, 1, []), commit(2, 1, [])]),
      ("no section", []),
    ]
    for (name, commits) in mistakes {
      do {
        try stack.record.commitFinal(volume: stack.volume, run: stack.run, commits)
        Issue.record("\(name) was taken")
      } catch {
        guard case .conflict = error else {
          Issue.record("\(name): \(error)")
          continue
        }
      }
    }
    #expect(try stack.finalTables() == tables)
    #expect(try stack.record.sections(stack.volume).map(\.state) == [.final, .final, .received])
  }

  @Test func aFailureAtTheLastStatementLeavesNothing() throws {
    let stack = try twoColumns()
    let tables = try stack.finalTables()
    let operations = try stack.database.connection.execute("select from operation").count
    try stack.database.connection.script(
      """
      create function fail() returns trigger language plpgsql as $$ begin raise exception 'no more'; end $$;
      create trigger fail before insert on lineage_event execute function fail();
      """)
    #expect(throws: DatabaseError.server(sqlstate: "P0001", message: "no more")) {
      try stack.record.commitFinal(volume: stack.volume, run: stack.run, [commit(2, 2, [join(id(1, 1), id(2, 1))])])
    }
    #expect(try stack.finalTables() == tables)
    #expect(try stack.database.connection.execute("select from operation").count == operations)
    #expect(try stack.record.sections(stack.volume)[2].state == .received)
    try stack.database.connection.script("drop trigger fail on lineage_event")
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, [commit(2, 2, [join(id(1, 1), id(2, 1))])])
    #expect(try stack.membership()[id(2, 1)]?.rawValue == id(0, 1).rawValue, "the same commit works afterwards")
  }

  @Test func aServerThatGoesAwayInTheMiddleLeavesNothing() throws {
    let stack = try twoColumns()
    let tables = try stack.finalTables()
    let connection = stack.database.connection
    let killer = try Connection(stack.database.conninfo)
    let failure = #expect(throws: DatabaseError.self) {
      try connection.transaction { () throws(DatabaseError) in
        try stack.record.commitFinal(volume: stack.volume, run: stack.run, [commit(2, 2, [])])
        try killer.execute("select pg_terminate_backend($1, 5000)", [.int(connection.backendPID)])
      }
    }
    #expect(failure?.isTransient == true, "\(String(describing: failure))")
    #expect(!connection.isConnected)
    #expect(throws: DatabaseError.self) { try stack.record.sections(stack.volume) }

    let second = Record(try Connection(stack.database.conninfo))
    #expect(try second.sections(stack.volume).map(\.state) == [.final, .final, .received])
    try second.commitFinal(volume: stack.volume, run: stack.run, [commit(2, 2, [])])
    #expect(try second.sections(stack.volume).map(\.state) == [.final, .final, .final])
    #expect(tables[0].count + 2 == (try second.membership(volume: stack.volume).count))
  }
}
