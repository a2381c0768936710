public import Domain

/// What is, or was, shown of a section: a row of `section_segmentation`.
public struct ShownSegmentation: Sendable, Equatable {
  /// Operation that wrote it.
  public var operation: Int64
  public var isFinal: Bool
  /// Number of fragments; their labels are 1 and up.
  public var fragments: Int
  /// Operation whose label tiles show the fragments; nil where the database does not hold them.
  public var labelsOperation: Int64?
  /// HDF5 file that belongs to the rows. Those of replaced revisions are removed from the store.
  public var file: String
}

extension Record {
  /// What is shown of a section now, or was final after an operation; nil where it had no segments.
  public func segmentation(
    volume: Int64, z: SectionNumber, asOf operation: Int64? = nil
  ) throws(DatabaseError) -> ShownSegmentation? {
    let result = try connection.execute(
      """
      select operation_id, state, fragments, labels_operation_id, file
      from segmentation_as_of($1::integer, $2::integer, $3::bigint)
      """, [.int(volume), .int(z), .int(optional: operation)])
    guard result.count == 1 else { return nil }
    return ShownSegmentation(
      operation: try result.int(0, 0), isFinal: try result.text(0, 1) == SectionState.final.rawValue,
      fragments: Int(try result.int(0, 2)), labelsOperation: try result.optionalInt(0, 3), file: try result.text(0, 4))
  }

  /// The segment of each label of a section, from 0; 0 for no segment.
  /// - Parameter operation: the state after that operation; nil: now, provisional segments included.
  public func segmentsByLabel(
    volume: Int64, z: SectionNumber, asOf operation: Int64? = nil
  ) throws(DatabaseError) -> [UInt64] {
    let result = try connection.execute(
      """
      select label, segment_id from fragments_as_of($1::integer, $2::bigint, null, $3::integer, $3::integer)
      """, [.int(volume), .int(optional: operation), .int(z)])
    var table: [UInt64] = [0]
    for row in 0..<result.count {
      let label = Int(try result.int(row, 0))
      guard label > 0, label <= Int(FragmentID.maximumLabel) else {
        throw .unexpected("a fragment has the label \(label)")
      }
      if label >= table.count { table += [UInt64](repeating: 0, count: label + 1 - table.count) }
      table[label] = SegmentID(signed: try result.int(row, 1)).rawValue
    }
    return table
  }

  /// Labels of a window of a section, out of its label tiles; 0 where there is no fragment.
  /// - Parameters:
  ///   - operation: `ShownSegmentation.labelsOperation`.
  ///   - window: inside of the section.
  public func labels(
    volume: Int64, z: SectionNumber, operation: Int64, _ window: PlaneWindow
  ) throws(DatabaseError) -> Plane<UInt32> {
    let side = Int64(LabelTiles.side)
    let result = try connection.execute(
      """
      select min_y, min_x, height_px, runs from label_tile
      where volume_id = $1 and z = $2 and operation_id = $3
        and min_y > $4::integer and min_y < $5 and min_x > $6::integer and min_x < $7
      """,
      [
        .int(volume), .int(z), .int(operation), .int(Int64(window.rows.lowerBound) - side),
        .int(window.rows.upperBound), .int(Int64(window.columns.lowerBound) - side), .int(window.columns.upperBound),
      ])
    var plane = Plane<UInt32>(height: window.height, width: window.width, repeating: 0)
    for row in 0..<result.count {
      let tile = LabelTiles.Tile(
        minY: Int32(try result.int(row, 0)), minX: Int32(try result.int(row, 1)), height: Int32(try result.int(row, 2)),
        runs: try result.bytes(row, 3))
      guard tile.paint(on: &plane, window) else {
        throw .unexpected("the label tile of z \(z), operation \(operation), at \(tile.minY), \(tile.minX) is damaged")
      }
    }
    return plane
  }
}

extension LabelTiles.Tile {
  /// Writes the labels that lie in the window into its plane.
  /// - Returns: false if the runs are not those of a tile.
  func paint(on plane: inout Plane<UInt32>, _ window: PlaneWindow) -> Bool {
    let rows = Int(height)
    let total = (runs.count - 3 * rows) / 4
    guard rows > 0, total >= rows, runs.count == 4 * total + 3 * rows else { return false }
    func number(_ place: Int) -> Int { Int(runs[place]) << 16 | Int(runs[place + 1]) << 8 | Int(runs[place + 2]) }
    var run = 0
    for y in 0..<rows {
      let behind = number(4 * total + 3 * y)
      guard behind >= run, behind <= total else { return false }
      let line = Int(minY) + y - window.rows.lowerBound
      guard line >= 0, line < plane.height else {
        run = behind
        continue
      }
      var x = Int(minX) - window.columns.lowerBound
      let left = x
      while run < behind {
        let end = left + Int(runs[3 * total + run]) + 1
        let label = UInt32(number(3 * run))
        if label != 0 {
          for column in max(x, 0)..<max(min(end, plane.width), max(x, 0)) {
            plane.storage[line * plane.width + column] = label
          }
        }
        x = end
        run += 1
      }
    }
    return true
  }
}
