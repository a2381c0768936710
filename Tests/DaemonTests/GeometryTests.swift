import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// Segments asked for by SQL, against the section files.
@Suite(.serialized) struct GeometryTests {
  private func digests(_ bench: Bench) throws -> String {
    try bench.query(
      "select string_agg(concat_ws(':', z, min_y, min_x, md5(runs)), ',' order by z, min_y, min_x) from label_tile")
  }

  /// Every 97th pixel: what `segment_at` says is what the label image says.
  private func compare(_ bench: Bench) throws {
    let configuration = bench.configuration
    try withSegmentedVolume(configuration, "test") { volume in
      #expect(!volume.sections.isEmpty)
      for section in volume.sections {
        let plane = try volume.segments(section)
        let points = stride(from: 0, to: plane.storage.count, by: 97).map { Int64($0) }
        let found = try volume.record.connection.execute(
          """
          select coalesce(segment_at('test', $1, (p / $2::bigint)::integer, (p % $2::bigint)::integer), 0)
          from unnest($3::bigint[]) with ordinality u (p, place) order by place
          """, [.int(section.z), .int(plane.width), .ints(points)])
        let values = try (0..<found.count).map { UInt64(try found.int($0, 0)) }
        #expect(values == points.map { plane.storage[Int($0)] }, "z \(section.z), \(section.state)")
        #expect(Set(values).count > 2)
      }
    }
  }

  @Test func segmentsAtPointsAreThoseOfTheFiles() throws {
    let bench = try Bench(size: 300)
    try bench.run([(0..<3).map { try bench.write($0) }], finish: false)
    try compare(bench)
    #expect(try bench.query("select count(*)::text from section_segmentation where state = 'final'") == "0")
    try bench.run([])
    try compare(bench)
    #expect(try bench.query("select count(*)::text from section_segmentation where state = 'final'") == "3")
    #expect(try bench.query("select count(distinct (z, min_y, min_x))::text from label_tile") == "12")
    let areas = try bench.query(
      """
      select count(*)::text from fragment f where area_px <> (select sum(r.end_x - r.first_x)
        from segmentation_as_of(f.volume_id, f.z) g,
          runs_of(f.volume_id, f.z, g.labels_operation_id, array[f.label], 0, 0, 300, 300) r)
      """)
    #expect(areas == "0")
    #expect(
      try bench.query("select count(*)::text from sections where sharpness > 0 and dark_fraction + bright_fraction < 1")
        == "3")

    // As a database of an earlier version, which had no tiles.
    let before = try digests(bench)
    try withRecord(bench.configuration) { record in
      try record.connection.script("delete from label_tile; update section_segmentation set labels_operation_id = null")
    }
    try bench.run([])
    #expect(try digests(bench) == before)
  }

  /// The daemon's own connection: rows, no changes of the schema.
  @Test func theDaemonMayNotChangeTheSchema() throws {
    let bench = try Bench(size: 96)
    var (user, failure): (String?, DatabaseError?)
    try bench.run([[try bench.write(0)]]) { core in
      core.onFinal = { [unowned core] _, _ in
        guard let connection = core.record?.connection else { return }
        user = try connection.execute("select current_user").text(0, 0)
        do throws(DatabaseError) { try connection.script("drop table fgnet.alarm") } catch { failure = error }
      }
    }
    #expect(user == "fgnet_daemon" && failure?.sqlstate == "42501", "\(String(describing: failure))")
    #expect(try bench.query("select count(*)::text from section where state = 'final'") == "1")
  }

  @Test func alarmsAreKeptWithTheirEnds() throws {
    let bench = try Bench(size: 96)
    try bench.run([[try bench.write(0)]]) { core in
      core.onFinal = { _, _ in throw VolumeError.noSpace(path: "test") }
    }
    let rows = "select string_agg(concat_ws(' ', kind, ended_at >= raised_at, text like '%test%'), ',') from alarm"
    #expect(try bench.query(rows) == "disk t t")
  }
}
