import DB
import Domain
import Foundation
import Hummingbird
import Synchronization

/// A volume as Neuroglancer's `precomputed` (https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed):
/// `/precomputed/VOLUME/image` and `/precomputed/VOLUME/segmentation`, or `segmentation@OPERATION` for how it was.
///
/// Bounds grow with the volume, so `info` is never kept by the client; a chunk is one section high.
struct Precomputed: Sendable {
  let catalogue: Catalogue
  let tiles: Tiles
  private let known = KnownProperties()

  init(catalogue: Catalogue, tiles: Tiles) {
    self.catalogue = catalogue
    self.tiles = tiles
  }

  /// `segment_properties`, which are made of all fragments of a volume: at most once a minute.
  private final class KnownProperties: Sendable {
    let byVolume = Mutex<[Int64: (second: Int64, data: Data)]>([:])
  }

  func properties(_ record: Record, _ volume: VolumeRow) throws -> Data {
    let now = ContinuousClock.now.seconds
    if let found = known.byVolume.withLock({ $0[volume.id] }), now - found.second < 60 { return found.data }
    let data = try JSON.data(VolumeQueries.properties(record, volume, limit: 20_000))
    known.byVolume.withLock { $0[volume.id] = (now, data) }
    return data
  }

  struct Info: Encodable {
    struct Scale: Encodable {
      var key: String
      var size: [Int]
      var resolution: [Double]
      var voxel_offset: [Int]
      var chunk_sizes: [[Int]]
      var encoding: String
      var compressed_segmentation_block_size: [Int]?
    }
    var type: String
    var data_type: String
    var num_channels = 1
    var scales: [Scale]
    var segment_properties: String?
    enum CodingKeys: String, CodingKey {
      case atType = "@type"
      case type, data_type, num_channels, scales, segment_properties
    }
    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode("neuroglancer_multiscale_volume", forKey: .atType)
      try container.encode(type, forKey: .type)
      try container.encode(data_type, forKey: .data_type)
      try container.encode(num_channels, forKey: .num_channels)
      try container.encode(scales, forKey: .scales)
      try container.encodeIfPresent(segment_properties, forKey: .segment_properties)
    }
  }

  enum Kind: Equatable {
    case image
    case segmentation(asOf: Int64?)

    /// `image`, `segmentation`, `segmentation@12`.
    init?(_ name: String) {
      if name == "image" {
        self = .image
      } else if name == "segmentation" {
        self = .segmentation(asOf: nil)
      } else if name.hasPrefix("segmentation@"), let operation = Int64(name.dropFirst(13)), operation >= 0 {
        self = .segmentation(asOf: operation)
      } else {
        return nil
      }
    }
  }

  /// The description of a volume.
  static func info(_ record: Record, _ volume: VolumeRow, _ kind: Kind) throws -> Info {
    guard let height = volume.height, let width = volume.width, let extent = try Catalogue.extent(record, volume) else {
      throw WebError.notFound("volume \(volume.name) has no sections yet")
    }
    let isImage = kind == .image
    let size = SectionSize(height: height, width: width)
    let scales = (0..<Pyramid.levels(size)).map { level in
      let factor = Double(1 << level)
      let scaled = Pyramid.size(size, level: level)
      return Info.Scale(
        key: "\(level)", size: [scaled.width, scaled.height, Int(extent.upperBound - extent.lowerBound) + 1],
        resolution: [volume.voxelSize.x * factor, volume.voxelSize.y * factor, volume.voxelSize.z],
        voxel_offset: [0, 0, Int(extent.lowerBound)], chunk_sizes: [[Pyramid.side, Pyramid.side, 1]],
        encoding: isImage ? "raw" : "compressed_segmentation",
        compressed_segmentation_block_size: isImage
          ? nil : [CompressedSegmentation.block, CompressedSegmentation.block, 1])
    }
    return Info(
      type: isImage ? "image" : "segmentation", data_type: isImage ? "uint8" : "uint64", scales: scales,
      segment_properties: kind == .segmentation(asOf: nil) ? "properties" : nil)
  }

  /// A chunk of the grid.
  struct Chunk: Sendable {
    var bytes: [UInt8]
    var etag: String
  }

  /// A chunk named `X0-X1_Y0-Y1_Z0-Z1`; zeros where a section is missing or has no such product.
  /// - Parameter known: etag that the caller has.
  /// - Returns: nil if that is the chunk's.
  /// - Throws: `WebError` for a chunk that is not of the grid.
  func chunk(
    _ record: Record, _ volume: VolumeRow, _ kind: Kind, level: Int, name: String, known: String?
  ) throws -> Chunk? {
    guard let height = volume.height, let width = volume.width else {
      throw WebError.notFound("volume \(volume.name) has no sections yet")
    }
    let size = SectionSize(height: height, width: width)
    guard let (place, z) = Self.place(name, level: level, size), let window = Pyramid.window(place, size) else {
      throw WebError.notFound("there is no chunk \(name) at scale \(level)")
    }
    let operation: Int64? = if case .segmentation(let moment) = kind { moment } else { nil }
    let section: SectionView
    do { section = try Catalogue.section(record, volume, z, asOf: operation) } catch let error as WebError
      where error.status == .notFound
    { return nothing(kind, window, known) }
    if kind == .image {
      let etag = "\(section.image)-\(level)-\(name)"
      if etag == known { return nil }
      let tile = try tiles.values(section.image, .image, size, place) { try catalogue.values(section, .image, $0) }
      return Chunk(bytes: tile?.storage ?? [], etag: etag)
    }
    guard let source = section.labelSource else { return nothing(kind, window, known) }
    let table = try catalogue.table(record, section, asOf: operation)
    let etag = "\(source)-\(table.name)-\(level)-\(name)"
    if etag == known { return nil }
    let tile = try tiles.segments(source, table, size, place) { try catalogue.labels(record, section, $0) }
    guard let tile else { return nothing(kind, window, known) }
    return Chunk(bytes: Self.encoded(tile), etag: etag)
  }

  /// A chunk of zeros.
  private func nothing(_ kind: Kind, _ window: PlaneWindow, _ known: String?) -> Chunk? {
    let etag = "none-\(window.height)-\(window.width)"
    if etag == known { return nil }
    if kind == .image { return Chunk(bytes: [UInt8](repeating: 0, count: window.pixels), etag: etag) }
    return Chunk(
      bytes: Self.encoded(Plane<UInt64>(height: window.height, width: window.width, repeating: 0)), etag: etag)
  }

  private static func encoded(_ plane: Plane<UInt64>) -> [UInt8] {
    CompressedSegmentation.encode(plane).withUnsafeBytes { Array($0) }
  }

  /// The place a chunk's name says; nil if it is none of the grid.
  static func place(_ name: String, level: Int, _ size: SectionSize) -> (place: TilePlace, z: SectionNumber)? {
    let axes = name.split(separator: "_", omittingEmptySubsequences: false).map(range)
    guard axes.count == 3, let columns = axes[0], let rows = axes[1], let z = axes[2], z.count == 1,
      let number = SectionNumber(exactly: z.lowerBound), columns.lowerBound >= 0, rows.lowerBound >= 0
    else { return nil }
    let place = TilePlace(level: level, y: rows.lowerBound / Pyramid.side, x: columns.lowerBound / Pyramid.side)
    guard Pyramid.window(place, size) == PlaneWindow(rows: rows, columns: columns) else { return nil }
    return (place, number)
  }

  /// `0-256`, `-5--4`.
  private static func range(_ text: Substring) -> Range<Int>? {
    guard let dash = text.dropFirst().firstIndex(of: "-"), let lower = Int(text[..<dash]),
      let upper = Int(text[text.index(after: dash)...]), lower < upper
    else { return nil }
    return lower..<upper
  }
}
