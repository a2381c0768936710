import DB
import Domain
import Testing

@testable import Daemon

/// What people decided outlasts the daemon's work.
@Suite(.serialized) struct CorrectionTests {
  @Test func correctionsSurviveALateSection() throws {
    let zs = Array(SectionNumber(0)..<10)
    let bench = try Bench(size: 128)
    try bench.run([zs.filter { $0 != 5 }.map { try bench.write($0) }], missing: [5])
    // The two largest segments are one; the third largest is two, above and below section 5.
    _ = try bench.query(
      """
      select fgnet.merge('test', s.ids[1], s.ids[2], 'one neurite')::text
      from (select array_agg(segment_id order by size_voxels desc) as ids from fgnet.segments) s
      """)
    _ = try bench.query(
      """
      select fgnet.split('test', s.segment_id, s.low, s.high, 'two neurites')::text
      from (
        select g.live_id as segment_id, min(f.fragment_id) as low, max(f.fragment_id) as high, sum(f.area_px) as size
        from fgnet.fragment f join fgnet.segment g using (volume_id, segment_id)
        where g.live_id not in (select segment_a from fgnet.correction) group by g.live_id
        having min(f.z) < 5 and max(f.z) > 5 order by size desc limit 1
      ) s
      """)
    let apart = try bench.query("select count(*)::text from fgnet.corrections where decision = 'separate'")
    #expect(apart != "0")

    try bench.run([[try bench.write(5)]])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "10")
    #expect(
      try bench.query(
        """
        select count(*)::text from fgnet.correction c join fgnet.operation o using (operation_id)
        where o.kind = 'revision' and c.continues_id is not null and c.until_operation_id is null
        """) != "0", "sections near the late one have new fragments")
    // Whether the late section's edges contradict the split depends on the precision; if they do they are refused.
    #expect(
      try bench.query(
        """
        select string_agg(what, ' ' order by what)
        from (
          select distinct decision || (segment_a = segment_b) as what from fgnet.corrections
          where decision <> 'refuse' or segment_a = segment_b
        ) c
        """)
        == "jointrue separatefalse")
    #expect(
      try bench.query(
        """
        select count(*)::text from fgnet.correction c
        where c.until_operation_id is not null
          and not exists (select from fgnet.correction d where d.continues_id = c.correction_id)
          and not exists (
            select from fgnet.conflict k where k.correction_id = c.correction_id and k.kind = 'lost')
          and not exists (
            select from fgnet.correction d join fgnet.correction e on e.correction_id = d.continues_id
            where d.operation_id = c.until_operation_id
              and (d.decision, d.origin_operation_id) = (c.decision, c.origin_operation_id)
              and (d.fragment_a >> 45, d.fragment_b >> 45) = (c.fragment_a >> 45, c.fragment_b >> 45)
              and (c.fragment_a in (e.fragment_a, e.fragment_b) or c.fragment_b in (e.fragment_a, e.fragment_b)))
        """) == "0", "what is not carried over is told; pairs whose fragments have become one pair go on as one")
    try withRecord(bench.configuration) { record in
      var lines: [String] = []
      #expect(try VerifyCommand.checkLineage(record, "test") { lines.append($0) } == 0, "\(lines)")
      #expect(lines.count == 1 && lines[0].hasSuffix(", 0 faults"))
      try record.connection.script(
        "set session_replication_role = replica; delete from fgnet.lineage_event where event = 'corrected' or event = 'born'"
      )
      #expect(try VerifyCommand.checkLineage(record, "test") { lines.append($0) } > 0)
      #expect(lines.last?.contains("wrong, the first: ") == true)
    }
  }
}
