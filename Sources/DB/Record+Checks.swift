public import Domain

/// What is recorded of a section, to be compared with its file.
extension Record {
  /// The smallest fragment of a section; nil if it has none.
  public func firstFragment(volume: Int64, z: SectionNumber) throws(DatabaseError) -> FragmentID? {
    try connection.execute(
      "select min(fragment_id) from fragment where volume_id = $1 and z = $2", [.int(volume), .int(z)]
    ).optionalInt(0, 0).map { FragmentID(signed: $0) }
  }

  /// The fragments of a section, by id.
  public func fragments(
    volume: Int64, z: SectionNumber
  ) throws(DatabaseError) -> [(id: FragmentID, summary: FragmentSummary)] {
    let result = try connection.execute(
      """
      select fragment_id, label, area_px, min_y, min_x, max_y, max_x, centroid_y, centroid_x
      from fragment where volume_id = $1 and z = $2 order by fragment_id
      """, [.int(volume), .int(z)])
    var rows: [(id: FragmentID, summary: FragmentSummary)] = []
    rows.reserveCapacity(result.count)
    for row in 0..<result.count {
      let summary = FragmentSummary(
        label: UInt32(try result.int(row, 1)), area: Int(try result.int(row, 2)), minY: Int32(try result.int(row, 3)),
        minX: Int32(try result.int(row, 4)), maxY: Int32(try result.int(row, 5)), maxX: Int32(try result.int(row, 6)),
        centroidY: try result.double(row, 7), centroidX: try result.double(row, 8))
      rows.append((FragmentID(signed: try result.int(row, 0)), summary))
    }
    return rows
  }

  /// The final edges that belong to a section, by their ends, with their contact area in pixel pairs.
  public func edges(
    volume: Int64, z: SectionNumber
  ) throws(DatabaseError) -> [(a: FragmentID, b: FragmentID, contactArea: Int)] {
    let result = try connection.execute(
      """
      select fragment_a, fragment_b, contact_area_px from region_edge where volume_id = $1 and z = $2 order by 1, 2
      """, [.int(volume), .int(z)])
    var rows: [(a: FragmentID, b: FragmentID, contactArea: Int)] = []
    rows.reserveCapacity(result.count)
    for row in 0..<result.count {
      rows.append(
        (
          FragmentID(signed: try result.int(row, 0)), FragmentID(signed: try result.int(row, 1)),
          Int(try result.int(row, 2))
        ))
    }
    return rows
  }
}
