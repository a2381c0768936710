public import Domain

extension Record {
  /// All volumes, by name.
  public func volumes() throws(DatabaseError) -> [VolumeRow] {
    let result = try connection.execute(
      """
      select volume_id, name, voxel_z_nm, voxel_y_nm, voxel_x_nm, height, width, last_z from volume order by name
      """)
    var rows: [VolumeRow] = []
    for row in 0..<result.count {
      rows.append(
        VolumeRow(
          id: try result.int(row, 0), name: try result.text(row, 1),
          voxelSize: VoxelSize(
            z: try result.double(row, 2), y: try result.double(row, 3), x: try result.double(row, 4)),
          height: try result.optionalInt(row, 5).map { Int($0) }, width: try result.optionalInt(row, 6).map { Int($0) },
          lastZ: try result.optionalInt(row, 7).map { SectionNumber($0) }))
    }
    return rows
  }

  /// What an operator may change while the daemon runs: the volume's end, how many sections are declared missing, and which are set aside.
  public func operatorChanges(
    volume: Int64
  ) throws(DatabaseError) -> (lastZ: SectionNumber?, missing: Int, setAside: Set<SectionNumber>) {
    let result = try connection.execute(
      """
      select v.last_z, s.missing, s.set_aside from volume v
      cross join lateral (
        select count(*) filter (where state = 'missing') as missing, string_agg(z::text, ',') filter (where state = 'set_aside') as set_aside
        from section where volume_id = $1 and state in ('missing', 'set_aside')
      ) s
      where v.volume_id = $1
      """, [.int(volume)])
    guard result.count == 1 else { throw .conflict("there is no volume with the number \(volume)") }
    let aside = try result.optionalText(0, 2)?.split(separator: ",").compactMap { SectionNumber($0) } ?? []
    return (try result.optionalInt(0, 0).map { SectionNumber($0) }, Int(try result.int(0, 1)), Set(aside))
  }

  /// The newest operation on a volume.
  public func lastOperation(volume: Int64) throws(DatabaseError) -> Int64? {
    try connection.execute(
      "select max(operation_id) from operation where volume_id = $1", [.int(volume)]
    ).optionalInt(0, 0)
  }

  /// Fragments, and live or provisional segments, of a volume.
  public func counts(volume: Int64) throws(DatabaseError) -> (fragments: Int, segments: Int) {
    let rows = try connection.execute(
      """
      select (select count(*) from fragment where volume_id = $1),
        (select count(*) from segment where volume_id = $1 and state <> 'retired')
      """, [.int(volume)])
    return (Int(try rows.int(0, 0)), Int(try rows.int(0, 1)))
  }
}
