import Domain

/// Tiles of a plane at full size and halved again and again in y and x.
///
/// Level 0 is the plane; a pixel of level k + 1 stands for up to 2 x 2 of level k, fewer at an odd edge.
enum Pyramid {
  /// Pixels of a tile's side. A divisor of the store's chunks, so a tile is read without its neighbours.
  static let side = 256

  /// Pixels of an axis at a level.
  static func length(_ length: Int, level: Int) -> Int { max((length + (1 << level) - 1) >> level, min(length, 1)) }

  /// The first level that fits one tile.
  static func levels(height: Int, width: Int) -> Int {
    var level = 0
    while length(max(height, width), level: level) > side { level += 1 }
    return level + 1
  }

  /// The window of a tile, clipped to the plane of its level; nil if it lies outside.
  static func window(y: Int, x: Int, height: Int, width: Int) -> PlaneWindow? {
    guard y >= 0, x >= 0, y * side < height, x * side < width else { return nil }
    return PlaneWindow(
      rows: y * side..<min((y + 1) * side, height), columns: x * side..<min((x + 1) * side, width))
  }

  /// Half as many rows and columns.
  /// - Parameter joined: a pixel from four; where there are fewer, those that are there repeat.
  static func halved<T>(_ plane: Plane<T>, _ joined: (T, T, T, T) -> T) -> Plane<T> {
    let (height, width) = ((plane.height + 1) / 2, (plane.width + 1) / 2)
    var storage: [T] = []
    storage.reserveCapacity(height * width)
    for y in 0..<height {
      let (above, below) = (2 * y, min(2 * y + 1, plane.height - 1))
      for x in 0..<width {
        let (left, right) = (2 * x, min(2 * x + 1, plane.width - 1))
        storage.append(
          joined(plane[above, left], plane[above, right], plane[below, left], plane[below, right]))
      }
    }
    return Plane(height: height, width: width, storage: storage)
  }

  /// The mean, rounded.
  static func mean(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> UInt8 {
    UInt8((Int(a) + Int(b) + Int(c) + Int(d) + 2) / 4)
  }

  /// The label that is there most often; of equals the first.
  static func mode<T: Equatable>(_ a: T, _ b: T, _ c: T, _ d: T) -> T {
    if a == b || a == c || a == d { return a }
    if b == c || b == d { return b }
    return c == d ? c : a
  }

  /// A tile of a level above 0 out of the up to four of the level below.
  /// - Parameters:
  ///   - window: the tile's, in pixels of its level.
  ///   - below: height and width of the level below.
  ///   - read: a tile of the level below by its place.
  static func tile<T>(
    _ window: PlaneWindow, below: (height: Int, width: Int), zero: T, joined: (T, T, T, T) -> T,
    read: (_ y: Int, _ x: Int) throws -> Plane<T>
  ) rethrows -> Plane<T> {
    let (top, left) = (2 * window.rows.lowerBound, 2 * window.columns.lowerBound)
    let height = min(2 * window.rows.upperBound, below.height) - top
    let width = min(2 * window.columns.upperBound, below.width) - left
    var whole = Plane<T>(height: height, width: width, repeating: zero)
    for y in stride(from: 0, to: height, by: side) {
      for x in stride(from: 0, to: width, by: side) {
        let part = try read((top + y) / side, (left + x) / side)
        whole.replace(PlaneWindow(rows: y..<y + part.height, columns: x..<x + part.width), with: part)
      }
    }
    return halved(whole, joined)
  }
}
