import Domain
import Volumes

/// Tiles of sections, made when asked for and kept within a limit. Files of the store never change under their name, so a tile
/// never does.
struct Tiles: Sendable {
  enum Layer: Hashable, Sendable {
    /// Intensities, 8 bits; levels are means.
    case image
    /// Labels of fragments, 32 bits; levels are modes.
    case labels
    /// Refined affinities along 0, 1, 2: z, y, x; 8 bits; levels are means.
    case affinities(axis: Int)
  }

  private struct Key: Hashable, Sendable {
    var file: String
    var layer: Layer
    var level: Int
    var y: Int
    var x: Int
  }

  private let bytes: ByteCache<Key, Plane<UInt8>>
  private let labels: ByteCache<Key, Plane<UInt32>>

  /// - Parameter cache: bytes.
  init(cache: Int) {
    bytes = ByteCache(limit: cache / 2)
    labels = ByteCache(limit: cache / 2)
  }

  var bytesInUse: Int { bytes.bytes + labels.bytes }

  /// A tile of 8-bit values; nil outside of the section.
  func values(
    _ store: SectionStore, _ file: String, _ layer: Layer, height: Int, width: Int, level: Int, y: Int, x: Int
  ) throws -> Plane<UInt8>? {
    try tile(
      bytes, store.path(file), layer, (height, width), level, y, x, zero: 0, joined: Pyramid.mean
    ) { window in
      if case .affinities(let axis) = layer { return try store.readAffinities(file, axis: axis, window) }
      let pixels = try store.readSource(file, window)
      return Plane(
        height: pixels.height, width: pixels.width,
        storage: pixels.storage.map { UInt8((min(max($0, 0), 1) * 255).rounded()) })
    }
  }

  /// A tile of fragment labels; nil outside of the section.
  func labels(
    _ store: SectionStore, _ file: String, height: Int, width: Int, level: Int, y: Int, x: Int
  ) throws -> Plane<UInt32>? {
    try tile(labels, store.path(file), .labels, (height, width), level, y, x, zero: 0, joined: Pyramid.mode) {
      try store.readFragments(file, $0)
    }
  }

  private func tile<T>(
    _ cache: ByteCache<Key, Plane<T>>, _ file: String, _ layer: Layer, _ size: (height: Int, width: Int), _ level: Int,
    _ y: Int, _ x: Int, zero: T, joined: (T, T, T, T) -> T, read: (PlaneWindow) throws -> Plane<T>
  ) throws -> Plane<T>? {
    let (height, width) = (Pyramid.length(size.height, level: level), Pyramid.length(size.width, level: level))
    guard level >= 0, level < Pyramid.levels(height: size.height, width: size.width),
      let window = Pyramid.window(y: y, x: x, height: height, width: width)
    else { return nil }
    let key = Key(file: file, layer: layer, level: level, y: y, x: x)
    if let known = cache[key] { return known }
    let made: Plane<T>
    if level == 0 {
      made = try read(window)
    } else {
      let below = (Pyramid.length(size.height, level: level - 1), Pyramid.length(size.width, level: level - 1))
      made = try Pyramid.tile(window, below: below, zero: zero, joined: joined) { y, x in
        guard let part = try tile(cache, file, layer, size, level - 1, y, x, zero: zero, joined: joined, read: read)
        else { preconditionFailure("a tile of a level has its parts in the level below") }
        return part
      }
    }
    cache.insert(made, bytes: made.storage.count * MemoryLayout<T>.stride, for: key)
    return made
  }
}
