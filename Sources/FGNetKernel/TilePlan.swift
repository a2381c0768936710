/// What the network may take of a program's memory.
public struct MemoryBudget: Sendable, Equatable {
  /// For the network and for what is beside it.
  public var bytes: Int
  /// Bytes for each pixel of a section that are beside the layers kept of whole sections.
  public var besideWhole: Int
  /// Bytes for each pixel of a section that are beside a tile.
  public var besideTiles: Int

  public init(bytes: Int, besideWhole: Int = 0, besideTiles: Int = 0) {
    self.bytes = bytes
    self.besideWhole = besideWhole
    self.besideTiles = besideTiles
  }
}

/// How a section is cut into tiles: as few operations as possible for tiles that fit the memory.
struct TilePlan: Equatable {
  /// Sections of the stack on each side, as far as they count.
  struct Context: Hashable {
    var below: Int
    var above: Int
    /// Layers are kept for later sections.
    var streaming: Bool
  }

  /// Pixels of a core; the last ones may have less.
  let rows: Int
  let columns: Int
  /// The padded section.
  let bounds: PixelWindow

  /// - Parameters:
  ///   - bounds: the padded section.
  ///   - fits: whether there is memory for tiles of that extent.
  /// - Returns: nil when not even the smallest tile fits.
  /// - Precondition: the architecture has exact tiles.
  init?(_ architecture: Architecture, bounds: PixelWindow, fits: (MemoryModel.Extent) -> Bool) {
    guard let step = architecture.tileStep else { preconditionFailure("no tile of this network is exact") }
    let trunk = architecture.trunk.operations(height: step, width: step)
    let rest = architecture.operationsPerSection(height: step, width: step) - trunk
    var best: (cost: Double, rows: Int, columns: Int)?
    for rows in Self.sizes(bounds.height, step) {
      for columns in Self.sizes(bounds.width, step) {
        let extent = Self.largestExtent(architecture, bounds, rows, columns)
        guard fits(extent) else { break }
        let tiles = (bounds.height + rows - 1) / rows * ((bounds.width + columns - 1) / columns)
        let cost = Double(tiles) * (Double(extent.outer) * Double(trunk) + Double(extent.inner) * Double(rest))
        if cost < best?.cost ?? .infinity { best = (cost, rows, columns) }
      }
    }
    guard let best else { return nil }
    (rows, columns) = (best.rows, best.columns)
    self.bounds = bounds
  }

  init(rows: Int, columns: Int, bounds: PixelWindow) {
    self.rows = rows
    self.columns = columns
    self.bounds = bounds
  }

  /// Sizes that cut a side into 1, 2, 3... parts as even as the step allows, ascending.
  private static func sizes(_ side: Int, _ step: Int) -> [Int] {
    let steps = (side + step - 1) / step
    return Set((1...steps).map { (steps + $0 - 1) / $0 * step }).sorted()
  }

  /// Of a tile with neighbours on all sides, as far as the section has room.
  static func largestExtent(
    _ architecture: Architecture, _ bounds: PixelWindow, _ rows: Int, _ columns: Int
  ) -> MemoryModel.Extent {
    func side(_ core: Int, _ margin: Int, _ whole: Int) -> Int { min(core + 2 * margin, whole) }
    let (inner, outer) = (Architecture.tileMargin, architecture.trunkMargin)
    return MemoryModel.Extent(
      inner: side(rows, inner, bounds.height) * side(columns, inner, bounds.width),
      outer: side(rows, outer, bounds.height) * side(columns, outer, bounds.width))
  }

  /// All tiles, row by row.
  func tiles(_ architecture: Architecture) -> [Tile] {
    stride(from: 0, to: bounds.height, by: rows).flatMap { y in
      stride(from: 0, to: bounds.width, by: columns).map { x in
        let core = PixelWindow(
          rows: y..<min(y + rows, bounds.height), columns: x..<min(x + columns, bounds.width))
        return Tile(core: core, bounds: bounds, architecture: architecture)
      }
    }
  }
}
