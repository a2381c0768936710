import Domain

/// The fragment of each pixel of a section, in tiles, as the table `label_tile` holds them.
///
/// A tile's runs of equal labels in raster order, numbers big-endian: for each run its label (3 bytes; 0 for no fragment),
/// then for each run its last column in the tile (1 byte), then for each row how many runs there are up to its end
/// (3 bytes). The labels come first because they repeat soonest: PostgreSQL gives up compressing what does not begin so.
public struct LabelTiles: Sendable, Equatable {
  /// Rows and columns of a tile, but for those at the lower and right ends.
  public static let side = 256

  /// One tile. `minY` and `minX` are its first row and column in the section.
  public struct Tile: Sendable, Equatable {
    public var minY: Int32
    public var minX: Int32
    /// Rows.
    public var height: Int32
    public var runs: [UInt8]
  }

  /// Columns of the section.
  public let width: Int
  /// Rows so far.
  public private(set) var height = 0
  /// In raster order.
  public private(set) var tiles: [Tile] = []

  public init(width: Int) { self.width = width }

  /// Appends the next rows of labels.
  /// - Parameter labels: whole rows, each of them less than 2^24; before more rows follow, a multiple of `side` rows.
  public mutating func append(_ labels: [UInt32]) {
    precondition(
      width > 0 && labels.count % width == 0 && height % Self.side == 0,
      "\(labels.count) labels after \(height) rows of \(width)")
    let rows = labels.count / width
    labels.withUnsafeBufferPointer { labels in
      for minY in stride(from: 0, to: rows, by: Self.side) {
        let band = minY..<min(minY + Self.side, rows)
        for minX in stride(from: 0, to: width, by: Self.side) {
          let columns = minX..<min(minX + Self.side, width)
          tiles.append(
            Tile(
              minY: Int32(height + minY), minX: Int32(minX), height: Int32(band.count),
              runs: Self.runs(labels, width: width, rows: band, columns: columns)))
        }
      }
    }
    height += rows
  }

  private static func runs(
    _ labels: UnsafeBufferPointer<UInt32>, width: Int, rows: Range<Int>, columns: Range<Int>
  ) -> [UInt8] {
    var values: [UInt8] = []
    var ends: [UInt8] = []
    var counts: [UInt8] = []
    func append(_ number: Int, to list: inout [UInt8]) {
      precondition(number < 1 << 24, "\(number) is no label")
      list.append(UInt8(truncatingIfNeeded: number >> 16))
      list.append(UInt8(truncatingIfNeeded: number >> 8))
      list.append(UInt8(truncatingIfNeeded: number))
    }
    for y in rows {
      let line = UnsafeBufferPointer(rebasing: labels[(y * width)..<((y + 1) * width)])
      var x = columns.lowerBound
      while x < columns.upperBound {
        let label = line[x]
        repeat { x += 1 } while x < columns.upperBound && line[x] == label
        ends.append(UInt8(truncatingIfNeeded: x - 1 - columns.lowerBound))
        append(Int(label), to: &values)
      }
      append(ends.count, to: &counts)
    }
    return values + ends + counts
  }
}

extension LabelTiles.Tile {
  /// Writes the tile's labels into the plane of its section.
  /// - Returns: how many pixels it has; nil if the bytes are no tile, or it does not lie in the plane.
  func paint(into plane: inout Plane<UInt32>) -> Int? {
    let (top, left, rows) = (Int(minY), Int(minX), Int(height))
    let total = (runs.count - 3 * rows) / 4
    guard top >= 0, left >= 0, rows > 0, top + rows <= plane.height, left < plane.width,
      total >= rows, runs.count == 4 * total + 3 * rows
    else { return nil }
    let columns = min(LabelTiles.side, plane.width - left)
    func number(_ place: Int) -> Int { Int(runs[place]) << 16 | Int(runs[place + 1]) << 8 | Int(runs[place + 2]) }
    var run = 0
    for row in 0..<rows {
      let behind = number(4 * total + 3 * row)
      var x = 0
      while run < behind {
        guard run < total else { return nil }
        let end = Int(runs[3 * total + run]) + 1
        guard end > x, end <= columns else { return nil }
        let start = (top + row) * plane.width + left
        let label = UInt32(number(3 * run))
        for place in (start + x)..<(start + end) { plane.storage[place] = label }
        x = end
        run += 1
      }
      guard x == columns else { return nil }
    }
    return run == total ? rows * columns : nil
  }
}
