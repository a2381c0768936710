public import Domain

/// A moment of a volume's history, as a person names it.
public enum Moment: Sendable, Equatable {
  /// When the section first became final.
  case section(SectionNumber)
  /// A time as PostgreSQL reads it, such as `2026-05-01 12:00+02`.
  case time(String)
  /// The end of a run of the daemon.
  case run(Int64)
  /// After an operation.
  case operation(Int64)
}

/// A section as it was at a moment.
public struct PastSection: Sendable, Equatable {
  public var z: SectionNumber
  /// Operation whose label tiles show its fragments; nil if they are not in the database, or if there are no fragments.
  public var labels: Int64?
  /// A fragment's id is this plus its label; nil without fragments.
  public var fragmentBase: Int64?
}

/// What the record said at a moment. All of one snapshot, if the caller keeps to `snapshot`.
extension Record {
  /// Runs `body` on one snapshot of the database: what others commit meanwhile is not seen. It must change nothing.
  public func snapshot<T>(_ body: () throws -> T) throws -> T {
    var thrown: (any Error)?
    do {
      return try connection.transaction { () throws(DatabaseError) in
        try connection.script("set transaction isolation level repeatable read, read only")
        do { return try body() } catch {
          thrown = error
          throw .unexpected("the work on a snapshot was given up")
        }
      }
    } catch { throw thrown ?? error }
  }

  /// The number of the operation that a moment comes after; 0: before everything.
  /// - Throws: `.server` with SQLSTATE 22023, P0002 or 22007 (a time that is none), and a sentence.
  public func operation(volume: String, at moment: Moment) throws(DatabaseError) -> Int64 {
    switch moment {
    case .section(let z):
      try connection.execute("select as_of($1, section => $2::integer)", [.text(volume), .int(z)]).int(0, 0)
    case .time(let text):
      try connection.execute("select as_of($1, at => $2::timestamptz)", [.text(volume), .text(text)]).int(0, 0)
    case .run(let run):
      try connection.execute("select as_of($1, run => $2::bigint)", [.text(volume), .int(run)]).int(0, 0)
    case .operation(let operation):
      try connection.execute("select as_of($1, operation => $2::bigint)", [.text(volume), .int(operation)]).int(0, 0)
    }
  }

  /// The sections that were final after an operation, in z order.
  public func sections(volume: Int64, asOf operation: Int64) throws(DatabaseError) -> [PastSection] {
    let result = try connection.execute(
      """
      select distinct on (z) z, labels_operation_id, fragment_base from section_segmentation
      where volume_id = $1 and operation_id <= $2 and state = 'final' order by z, operation_id desc
      """, [.int(volume), .int(operation)])
    var sections: [PastSection] = []
    for row in 0..<result.count {
      sections.append(
        PastSection(
          z: SectionNumber(try result.int(row, 0)), labels: try result.optionalInt(row, 1),
          fragmentBase: try result.optionalInt(row, 2)))
    }
    return sections
  }

  /// The label of each pixel of a section, from the label tiles that an operation wrote.
  /// - Throws: `.unexpected` if the tiles do not make up a plane of that shape.
  public func labels(
    volume: Int64, z: SectionNumber, operation: Int64, height: Int, width: Int
  ) throws(DatabaseError) -> Plane<UInt32> {
    let result = try connection.execute(
      """
      select min_y, min_x, height_px, runs from label_tile where volume_id = $1 and z = $2 and operation_id = $3
      order by min_y, min_x
      """, [.int(volume), .int(z), .int(operation)])
    var plane = Plane<UInt32>(height: height, width: width, repeating: 0)
    var covered = 0
    for row in 0..<result.count {
      let tile = LabelTiles.Tile(
        minY: Int32(try result.int(row, 0)), minX: Int32(try result.int(row, 1)), height: Int32(try result.int(row, 2)),
        runs: try result.bytes(row, 3))
      guard let pixels = tile.paint(into: &plane) else {
        throw .unexpected(
          "the label tile of section \(z) at y \(tile.minY), x \(tile.minX) (operation \(operation)) is no tile of "
            + "\(height) x \(width) pixels: restore the database from a backup")
      }
      covered += pixels
    }
    guard covered == height * width else {
      throw .unexpected(
        "the label tiles of section \(z) (operation \(operation)) cover \(covered) of \(height * width) pixels: "
          + "restore the database from a backup")
    }
    return plane
  }

  /// Goes through the final fragments that there were after an operation with the segments that they then were of, in the order of
  /// their ids, so section by section; never holds all of them.
  public func forEachMember(
    volume: Int64, asOf operation: Int64, _ body: (FragmentID, SegmentID) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    try stream(
      "select fragment_id, segment_id from membership_as_of($1::integer, $2) order by fragment_id",
      [.int(volume), .int(operation)]
    ) { (rows, row) throws(DatabaseError) in
      try body(FragmentID(signed: rows.int(row, 0)), SegmentID(signed: rows.int(row, 1)))
    }
  }

  /// Reads the rows of a query without holding all of them; in a transaction of the caller.
  /// - Parameter body: gets a batch and the number of a row in it.
  func stream(
    _ sql: String, _ parameters: [Parameter], _ body: (QueryResult, Int) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    try connection.execute("declare streamed_rows no scroll cursor for \(sql)", parameters)
    while true {
      let rows = try connection.execute("fetch 100000 from streamed_rows")
      if rows.count == 0 { break }
      for row in 0..<rows.count { try body(rows, row) }
    }
    try connection.script("close streamed_rows")
  }
}
