import Domain

/// What is recorded of volumes: sections, fragments, segments and their lineage.
///
/// Uses one connection, from one thread at a time. Every call is one transaction: it happens whole or not at all.
public final class Record {
  public let connection: Connection

  /// - Parameter connection: to a database whose schema `Migrator.embedded` has brought up to date.
  public init(_ connection: Connection) { self.connection = connection }

  /// Finds the volume, or makes it.
  /// - Throws: `.conflict` if it is recorded with another voxel size.
  public func openVolume(name: String, voxelSize: VoxelSize) throws(DatabaseError) -> VolumeRow {
    try connection.execute(
      """
      insert into volume (name, voxel_z_nm, voxel_y_nm, voxel_x_nm) values ($1, $2, $3, $4)
      on conflict (name) do nothing
      """, [.text(name), .double(voxelSize.z), .double(voxelSize.y), .double(voxelSize.x)])
    let result = try connection.execute(
      """
      select volume_id, voxel_z_nm, voxel_y_nm, voxel_x_nm, height, width, last_z from volume where name = $1
      """, [.text(name)])
    guard result.count == 1 else { throw .unexpected("the volume \(name) is not there after it was made") }
    let known = VoxelSize(z: try result.double(0, 1), y: try result.double(0, 2), x: try result.double(0, 3))
    guard known == voxelSize else {
      throw .conflict(
        "volume \(name) is recorded with voxels of \(known.z) x \(known.y) x \(known.x) nm, the configuration says "
          + "\(voxelSize.z) x \(voxelSize.y) x \(voxelSize.x): correct the configuration or name another volume")
    }
    return VolumeRow(
      id: try result.int(0, 0), name: name, voxelSize: known, height: try result.optionalInt(0, 4).map { Int($0) },
      width: try result.optionalInt(0, 5).map { Int($0) },
      lastZ: try result.optionalInt(0, 6).map { SectionNumber($0) })
  }

  /// Claims the volume until the connection ends.
  /// - Returns: false if another connection has it: a second daemon must not work on it.
  public func lockVolume(_ volume: Int64) throws(DatabaseError) -> Bool {
    try connection.execute(
      "select pg_try_advisory_lock(1718513780, $1::integer)", [.int(volume)]
    ).bool(0, 0)
  }

  /// Waits until no other transaction changes the volume's segments, and has others wait until this one ends.
  func claim(_ volume: Int64) throws(DatabaseError) {
    try connection.execute("select claim_volume($1::integer)", [.int(volume)])
  }

  /// Records a start of the daemon.
  /// - Returns: the run's number.
  public func startRun(
    volume: Int64, configuration: String, fingerprint: String, modelHash: String?, codeVersion: String
  ) throws(DatabaseError) -> Int64 {
    try connection.execute(
      """
      insert into run (volume_id, configuration, fingerprint, model_hash, code_version)
      values ($1, $2, $3, $4, $5) returning run_id
      """,
      [
        .int(volume), .text(configuration), .text(fingerprint), .text(optional: modelHash), .text(codeVersion),
      ]
    ).int(0, 0)
  }

  /// Records an operation; the caller is in its transaction.
  func begin(
    _ kind: String, volume: Int64, firstZ: SectionNumber?, z: SectionNumber?, run: Int64?
  ) throws(DatabaseError) -> Int64 {
    try connection.execute(
      """
      insert into operation (volume_id, kind, first_z, z, run_id, actor)
      values ($1, $2, $3, $4, $5, session_user) returning operation_id
      """,
      [
        .int(volume), .text(kind), .int(optional: firstZ.map { Int64($0) }), .int(optional: z.map { Int64($0) }),
        .int(optional: run),
      ]
    ).int(0, 0)
  }
}

extension FragmentID {
  /// As PostgreSQL's bigint.
  var signed: Int64 { Int64(bitPattern: rawValue) }
  init(signed: Int64) { self.init(rawValue: UInt64(bitPattern: signed)) }
}

extension SegmentID {
  /// As PostgreSQL's bigint.
  var signed: Int64 { Int64(bitPattern: rawValue) }
  init(signed: Int64) { self.init(rawValue: UInt64(bitPattern: signed)) }
}
