/// A table that people take away, as comma-separated values.
public struct ExportedTable: Sendable {
  /// Name of the file, without `.csv`.
  public var name: String
  /// A COPY ... TO STDOUT of the volume named by the setting `fgnet.exported_volume`.
  var statement: String
}

extension Record {
  /// The tables of a volume that can be exported: people's views, then the fragments and the edges that segments are made of.
  public static let exportedTables: [ExportedTable] = [
    table(
      "segments", "select * from segments where volume = current_setting('fgnet.exported_volume') order by segment_id"),
    // All but the outline, which is computed from the label tiles, some milliseconds for each row.
    table(
      "segment_sections",
      """
      select volume, segment_id, z, area_px, fragments, final, min_y, min_x, max_y, max_x, centroid_y, centroid_x
      from segment_sections where volume = current_setting('fgnet.exported_volume') order by segment_id, z
      """),
    table("sections", "select * from sections where volume = current_setting('fgnet.exported_volume') order by z"),
    table(
      "lineage", "select * from lineage where volume = current_setting('fgnet.exported_volume') order by lineage_id"),
    table(
      "fragments",
      """
      select v.name as volume, f.fragment_id, s.live_id as segment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y,
        f.max_x, f.centroid_y, f.centroid_x, f.state
      from volume v join fragment f using (volume_id)
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
      where v.name = current_setting('fgnet.exported_volume') order by f.fragment_id
      """),
    table(
      "edges",
      """
      select v.name as volume, e.fragment_a, e.fragment_b, e.z, e.kind, e.contact_area_px, e.mean_affinity, e.score, e.accepted,
        e.operation_id
      from volume v join region_edge e using (volume_id)
      where v.name = current_setting('fgnet.exported_volume') order by e.fragment_a, e.fragment_b
      """),
    table(
      "corrections",
      "select * from corrections where volume = current_setting('fgnet.exported_volume') order by correction_id"),
  ]

  private static func table(_ name: String, _ query: String) -> ExportedTable {
    ExportedTable(name: name, statement: "copy (\(query)) to stdout (format csv, header)")
  }

  /// Sends a table of a volume as comma-separated values: a line of names, then a line for each row, null as nothing. In a
  /// transaction of the caller.
  /// - Parameter take: gets whole lines; false ends it.
  /// - Returns: whether all of it was taken.
  @discardableResult
  public func copyOut(
    _ table: ExportedTable, volume: String, _ take: (UnsafeRawBufferPointer) -> Bool
  ) throws(DatabaseError) -> Bool {
    try connection.execute("select set_config('fgnet.exported_volume', $1, true)", [.text(volume)])
    return try connection.copyOut(table.statement, take)
  }
}
