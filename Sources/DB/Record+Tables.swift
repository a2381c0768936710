/// A table that people take away, as comma-separated values.
public struct ExportedTable: Sendable {
  /// Name of the file, without `.csv`.
  public var name: String
  /// A COPY ... TO STDOUT of the volume named by the setting `fgnet.exported_volume`.
  var statement: String
  /// The same after the operation in the setting `fgnet.exported_operation`; final sections only.
  var statementAsOf: String
}

extension Record {
  /// The tables of a volume that can be exported: people's views, then the fragments and the edges that segments are made of.
  public static let exportedTables: [ExportedTable] = [
    table(
      "segments", "select * from segments where volume = current_setting('fgnet.exported_volume') order by segment_id",
      asOf: """
        select a.volume, s.* from asked a cross join lateral segments_as_of(a.volume, a.operation_id) s order by s.segment_id
        """),
    // All but the outline, which is computed from the label tiles, some milliseconds for each row.
    table(
      "segment_sections",
      """
      select volume, segment_id, z, area_px, fragments, final, min_y, min_x, max_y, max_x, centroid_y, centroid_x
      from segment_sections where volume = current_setting('fgnet.exported_volume') order by segment_id, z
      """,
      asOf: """
        select a.volume, s.segment_id, s.z, s.area_px, s.fragments, s.min_y, s.min_x, s.max_y, s.max_x, s.centroid_y,
          s.centroid_x
        from asked a cross join lateral segment_sections_as_of(a.volume, a.operation_id) s order by s.segment_id, s.z
        """),
    table(
      "sections", "select * from sections where volume = current_setting('fgnet.exported_volume') order by z",
      asOf:
        "select a.volume, s.* from asked a cross join lateral sections_as_of(a.volume, a.operation_id) s order by s.z"
    ),
    table(
      "lineage", "select * from lineage where volume = current_setting('fgnet.exported_volume') order by lineage_id",
      asOf: "select s.* from asked a cross join lateral lineage_as_of(a.volume, a.operation_id) s order by s.lineage_id"
    ),
    table(
      "fragments",
      """
      select v.name as volume, f.fragment_id, s.live_id as segment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y,
        f.max_x, f.centroid_y, f.centroid_x, f.state
      from volume v join fragment f using (volume_id)
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
      where v.name = current_setting('fgnet.exported_volume') order by f.fragment_id
      """,
      asOf: """
        select a.volume, f.fragment_id, f.segment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x,
          f.centroid_y, f.centroid_x
        from asked a cross join lateral fragments_as_of(a.volume_id, a.operation_id) f order by f.fragment_id
        """),
    table(
      "edges",
      """
      select v.name as volume, e.fragment_a, e.fragment_b, e.z, e.kind, e.contact_area_px, e.mean_affinity, e.score, e.accepted,
        e.operation_id
      from volume v join region_edge e using (volume_id)
      where v.name = current_setting('fgnet.exported_volume') order by e.fragment_a, e.fragment_b
      """, asOf: edgesAsOf),
    table(
      "corrections",
      "select * from corrections where volume = current_setting('fgnet.exported_volume') order by correction_id",
      asOf: correctionsAsOf),
  ]

  private static let edgesAsOf = """
    select a.volume, e.* from asked a cross join lateral (
      select e.fragment_a, e.fragment_b, e.z, e.kind, e.contact_area_px, e.mean_affinity, e.score, e.accepted, e.operation_id
      from region_edge e where e.volume_id = a.volume_id and e.operation_id <= a.operation_id
      union all
      select h.fragment_a, h.fragment_b, h.z, h.kind, h.contact_area_px, h.mean_affinity, h.score, h.accepted, h.operation_id
      from region_edge_history h
      where h.volume_id = a.volume_id and h.operation_id <= a.operation_id and h.until_operation_id > a.operation_id
    ) e order by e.fragment_a, e.fragment_b
    """

  /// With the segments that the fragments were of then.
  private static let correctionsAsOf = """
    select a.volume, c.decision, segment_of(a.volume_id, c.fragment_a, a.operation_id) as segment_a,
      segment_of(a.volume_id, c.fragment_b, a.operation_id) as segment_b, c.fragment_a, c.fragment_b, o.actor, o.reason, o.at,
      c.origin_operation_id as undo_with, c.operation_id, c.correction_id
    from asked a
    join correction c on c.volume_id = a.volume_id and c.operation_id <= a.operation_id
      and (c.until_operation_id is null or c.until_operation_id > a.operation_id)
    join operation o on o.operation_id = c.origin_operation_id order by c.correction_id
    """

  private static func table(_ name: String, _ query: String, asOf: String) -> ExportedTable {
    let asked = """
      with asked as materialized (
        select v.volume_id, v.name as volume, current_setting('fgnet.exported_operation')::bigint as operation_id
        from volume v where v.name = current_setting('fgnet.exported_volume')
      )
      """
    return ExportedTable(
      name: name, statement: "copy (\(query)) to stdout (format csv, header)",
      statementAsOf: "copy (\(asked) \(asOf)) to stdout (format csv, header)")
  }

  /// Sends a table of a volume as comma-separated values: a line of names, then a line for each row, null as nothing. In a
  /// transaction of the caller.
  /// - Parameters:
  ///   - operation: the state after that operation; nil for now.
  ///   - take: gets whole lines; false ends it.
  /// - Returns: whether all of it was taken.
  @discardableResult
  public func copyOut(
    _ table: ExportedTable, volume: String, asOf operation: Int64? = nil, _ take: (UnsafeRawBufferPointer) -> Bool
  ) throws(DatabaseError) -> Bool {
    try connection.execute(
      "select set_config('fgnet.exported_volume', $1, true), set_config('fgnet.exported_operation', $2, true)",
      [.text(volume), .text(operation.map { "\($0)" } ?? "")])
    return try connection.copyOut(operation == nil ? table.statement : table.statementAsOf, take)
  }
}
