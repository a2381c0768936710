import Domain

/// Rows and columns of a section.
struct SectionSize: Hashable, Sendable {
  var height: Int
  var width: Int
}

/// Which tile of a section: its level, and its row and column among the tiles of the level.
struct TilePlace: Hashable, Sendable {
  var level: Int
  var y: Int
  var x: Int
}

/// Tiles of a plane at full size and halved again and again in y and x.
///
/// Level 0 is the plane; a pixel of level k + 1 stands for up to 2 x 2 of level k, fewer at an odd edge.
enum Pyramid {
  /// Pixels of a tile's side: that of the store's chunks and of the record's label tiles, so a tile is read without its neighbours.
  static let side = 256
  /// Up to this level a tile is made of full-size pixels in one reading; above, of the tiles of the level below.
  static let direct = 2

  /// Pixels of an axis at a level.
  static func length(_ length: Int, level: Int) -> Int {
    if level > Int.bitWidth - 2 { return min(length, 1) }
    return length >> level + (length & (1 << level - 1) > 0 ? 1 : 0)
  }

  static func size(_ size: SectionSize, level: Int) -> SectionSize {
    SectionSize(height: length(size.height, level: level), width: length(size.width, level: level))
  }

  /// The number of levels; the last one fits one tile.
  static func levels(_ size: SectionSize) -> Int {
    var level = 0
    while length(max(size.height, size.width), level: level) > side { level += 1 }
    return level + 1
  }

  /// The window of a tile, clipped to the plane of its level; nil if there is no such tile.
  static func window(_ place: TilePlace, _ size: SectionSize) -> PlaneWindow? {
    guard (0..<levels(size)).contains(place.level) else { return nil }
    let plane = Pyramid.size(size, level: place.level)
    guard place.y >= 0, place.y < (plane.height + side - 1) / side, place.x >= 0,
      place.x < (plane.width + side - 1) / side
    else { return nil }
    return PlaneWindow(
      rows: place.y * side..<min((place.y + 1) * side, plane.height),
      columns: place.x * side..<min((place.x + 1) * side, plane.width))
  }

  /// The full-size pixels that a window of a level stands for.
  static func source(_ window: PlaneWindow, level: Int, _ size: SectionSize) -> PlaneWindow {
    PlaneWindow(
      rows: window.rows.lowerBound << level..<min(window.rows.upperBound << level, size.height),
      columns: window.columns.lowerBound << level..<min(window.columns.upperBound << level, size.width))
  }

  /// Half as many rows and columns.
  /// - Parameter joined: a pixel from four; where there are fewer, those that are there repeat.
  static func halved<T>(_ plane: Plane<T>, _ joined: (T, T, T, T) -> T) -> Plane<T> {
    let (height, width) = ((plane.height + 1) / 2, (plane.width + 1) / 2)
    var storage: [T] = []
    storage.reserveCapacity(height * width)
    plane.storage.withUnsafeBufferPointer { pixels in
      for y in 0..<height {
        let above = 2 * y * plane.width
        let below = min(2 * y + 1, plane.height - 1) * plane.width
        for x in 0..<width {
          let (left, right) = (2 * x, min(2 * x + 1, plane.width - 1))
          storage.append(
            joined(pixels[above + left], pixels[above + right], pixels[below + left], pixels[below + right]))
        }
      }
    }
    return Plane(height: height, width: width, storage: storage)
  }

  /// Twice as many rows and columns, or one less: each pixel repeated.
  static func doubled<T>(_ plane: Plane<T>, height: Int, width: Int) -> Plane<T> {
    var storage: [T] = []
    storage.reserveCapacity(height * width)
    for y in 0..<height {
      for x in 0..<width { storage.append(plane[y / 2, x / 2]) }
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
  ///   - below: size of the level below.
  ///   - read: a tile of the level below by its row and column.
  static func tile<T>(
    _ window: PlaneWindow, below: SectionSize, zero: T, joined: (T, T, T, T) -> T,
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
