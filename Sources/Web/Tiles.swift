import Domain

/// Tiles of sections, made when asked for and kept within a limit.
///
/// What a tile is made of is named by its source: a file of the store, or an operation's label tiles in the record. Neither ever
/// changes under its name, so a tile never does.
struct Tiles: Sendable {
  /// What pixels are, and how four become one.
  enum Layer: Hashable, Sendable {
    /// Intensities, 8 bits; levels are means.
    case image
    /// Labels of fragments, 32 bits; levels are modes.
    case labels
    /// Refined affinities along 0, 1, 2: z, y, x; 8 bits; levels are means.
    case affinities(axis: Int)
    /// Coarse affinities along them, each shown as 2 x 2 pixels.
    case coarse(axis: Int)
  }

  private struct Key: Hashable, Sendable {
    var source: String
    var layer: Layer
    var place: TilePlace
  }

  private let bytes: ByteCache<Key, Plane<UInt8>>
  private let labels: ByteCache<Key, Plane<UInt32>>
  private let segments: ByteCache<Key, Plane<UInt64>>

  /// - Parameter cache: bytes.
  init(cache: Int) {
    bytes = ByteCache(limit: cache / 4)
    labels = ByteCache(limit: cache / 2)
    segments = ByteCache(limit: cache / 4)
  }

  var bytesInUse: Int { bytes.bytes + labels.bytes + segments.bytes }

  /// A tile of 8-bit values; nil outside of the section.
  /// - Parameter read: full-size pixels of a window.
  func values(
    _ source: String, _ layer: Layer, _ size: SectionSize, _ place: TilePlace,
    read: (PlaneWindow) throws -> Plane<UInt8>
  ) throws -> Plane<UInt8>? {
    try tile(bytes, Key(source: source, layer: layer, place: place), size, zero: 0, Pyramid.mean, read)
  }

  /// A tile of fragment labels; nil outside of the section.
  /// - Parameter read: full-size labels of a window.
  func labels(
    _ source: String, _ size: SectionSize, _ place: TilePlace, read: (PlaneWindow) throws -> Plane<UInt32>
  ) throws -> Plane<UInt32>? {
    try tile(labels, Key(source: source, layer: .labels, place: place), size, zero: 0, Pyramid.mode, read)
  }

  /// A tile of segments; nil outside of the section. Levels are modes of segments, not of fragments, so they are made of segments from
  /// level 0 up.
  /// - Parameter read: full-size labels of a window.
  func segments(
    _ source: String, _ table: SegmentTable, _ size: SectionSize, _ place: TilePlace,
    read: (PlaneWindow) throws -> Plane<UInt32>
  ) throws -> Plane<UInt64>? {
    let key = Key(source: source + "/" + table.name, layer: .labels, place: place)
    return try tile(segments, key, size, zero: 0, Pyramid.mode) { window in
      let labels = try read(window)
      return Plane(height: labels.height, width: labels.width, storage: labels.storage.map { table[$0] })
    }
  }

  private func tile<T>(
    _ cache: ByteCache<Key, Plane<T>>, _ key: Key, _ size: SectionSize, zero: T, _ joined: (T, T, T, T) -> T,
    _ read: (PlaneWindow) throws -> Plane<T>
  ) throws -> Plane<T>? {
    let level = key.place.level
    guard let window = Pyramid.window(key.place, size) else { return nil }
    if let known = cache[key] { return known }
    var made: Plane<T>
    if level <= Pyramid.direct {
      made = try read(Pyramid.source(window, level: level, size))
      for _ in 0..<level { made = Pyramid.halved(made, joined) }
    } else {
      made = try Pyramid.tile(window, below: Pyramid.size(size, level: level - 1), zero: zero, joined: joined) { y, x in
        var part = key
        part.place = TilePlace(level: level - 1, y: y, x: x)
        guard let part = try tile(cache, part, size, zero: zero, joined, read) else {
          preconditionFailure("a tile of a level has its parts in the level below")
        }
        return part
      }
    }
    cache.insert(made, bytes: made.storage.count * MemoryLayout<T>.stride, for: key)
    return made
  }
}
