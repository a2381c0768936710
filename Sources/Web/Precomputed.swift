import DB
import Domain
import Foundation
import Hummingbird
import Volumes

/// A volume as Neuroglancer's `precomputed` (https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed):
/// `/precomputed/VOLUME/image` and `/precomputed/VOLUME/segmentation`, or `segmentation@OPERATION` for how it was.
///
/// Bounds grow with the volume, so `info` is never kept by the client; a chunk is one section high.
struct Precomputed: Sendable {
  let catalogue: Catalogue
  let tiles: Tiles

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
  func info(_ volume: VolumeRow, _ kind: Kind) async throws -> Info {
    guard let height = volume.height, let width = volume.width, let extent = try await catalogue.extent(volume) else {
      throw WebError.notFound("volume \(volume.name) has no sections yet")
    }
    let isImage = kind == .image
    let scales = (0..<Pyramid.levels(height: height, width: width)).map { level in
      let factor = Double(1 << level)
      return Info.Scale(
        key: "\(level)",
        size: [
          Pyramid.length(width, level: level), Pyramid.length(height, level: level),
          Int(extent.upperBound - extent.lowerBound) + 1,
        ],
        resolution: [volume.voxelSize.x * factor, volume.voxelSize.y * factor, volume.voxelSize.z],
        voxel_offset: [0, 0, Int(extent.lowerBound)], chunk_sizes: [[Pyramid.side, Pyramid.side, 1]],
        encoding: isImage ? "raw" : "compressed_segmentation",
        compressed_segmentation_block_size: isImage ? nil : [CompressedSegmentation.block, CompressedSegmentation.block, 1])
    }
    return Info(
      type: isImage ? "image" : "segmentation", data_type: isImage ? "uint8" : "uint64", scales: scales,
      segment_properties: kind == .segmentation(asOf: nil) ? "properties" : nil)
  }

  /// A chunk named `X0-X1_Y0-Y1_Z0-Z1`; zeros where a section is missing or has no such product.
  /// - Throws: `WebError` for a chunk that is not of the grid.
  func chunk(_ volume: VolumeRow, _ kind: Kind, level: Int, name: String) async throws -> (bytes: [UInt8], etag: String) {
    guard let height = volume.height, let width = volume.width,
      let place = Self.place(name, Pyramid.length(height, level: level), Pyramid.length(width, level: level)),
      (0..<Pyramid.levels(height: height, width: width)).contains(level)
    else { throw WebError.notFound("there is no chunk \(name) at scale \(level)") }
    let section = try await catalogue.section(volume, place.z)
    let empty = PlaneWindow(rows: place.window.rows, columns: place.window.columns)
    let store = catalogue.store(volume.name)
    let (y, x) = (place.window.rows.lowerBound / Pyramid.side, place.window.columns.lowerBound / Pyramid.side)
    switch kind {
    case .image:
      guard let section, let image = section.image else {
        return ([UInt8](repeating: 0, count: empty.pixels), "none")
      }
      let tile = try await catalogue.pool.run { [tiles] in
        try tiles.values(store, image, .image, height: height, width: width, level: level, y: y, x: x)
      }
      return (tile?.storage ?? [], "\(image)-\(level)-\(name)")
    case .segmentation(let operation):
      let zero = Plane<UInt64>(height: empty.height, width: empty.width, repeating: 0)
      guard let section, let product = section.product else { return (Self.encoded(zero), "none") }
      let table = try await catalogue.segments(volume, section, asOf: operation)
      let bytes = try await catalogue.pool.run { [self] in
        Self.encoded(
          try segments(store, product, table, height: height, width: width, level: level, y: y, x: x) ?? zero)
      }
      return (bytes, Self.etag(product, table, level, name))
    }
  }

  /// Levels are modes of segments, not of fragments, so they are made of segments from level 0 up.
  private func segments(
    _ store: SectionStore, _ product: String, _ table: [UInt64], height: Int, width: Int, level: Int, y: Int, x: Int
  ) throws -> Plane<UInt64>? {
    guard level > 0 else {
      guard let labels = try tiles.labels(store, product, height: height, width: width, level: 0, y: y, x: x) else {
        return nil
      }
      return Plane(
        height: labels.height, width: labels.width,
        storage: labels.storage.map { Int($0) < table.count ? table[Int($0)] : 0 })
    }
    let size = (Pyramid.length(height, level: level), Pyramid.length(width, level: level))
    guard let window = Pyramid.window(y: y, x: x, height: size.0, width: size.1) else { return nil }
    let below = (Pyramid.length(height, level: level - 1), Pyramid.length(width, level: level - 1))
    return try Pyramid.tile(window, below: below, zero: 0, joined: Pyramid.mode) { y, x in
      try segments(store, product, table, height: height, width: width, level: level - 1, y: y, x: x)
        ?? Plane(height: 0, width: 0, repeating: 0)
    }
  }

  private static func encoded(_ plane: Plane<UInt64>) -> [UInt8] {
    CompressedSegmentation.encode(plane).withUnsafeBytes { Array($0) }
  }

  private static func etag(_ product: String, _ table: [UInt64], _ level: Int, _ name: String) -> String {
    var hash: UInt64 = 14_695_981_039_346_656_037
    for value in table { hash = (hash ^ value) &* 1_099_511_628_211 }
    return "\(product)-\(level)-\(name)-\(String(hash, radix: 16))"
  }

  /// The place a chunk's name says; nil if it is none of the grid.
  static func place(_ name: String, _ height: Int, _ width: Int) -> (window: PlaneWindow, z: SectionNumber)? {
    let axes = name.split(separator: "_", omittingEmptySubsequences: false).map(range)
    guard axes.count == 3, let columns = axes[0], let rows = axes[1], let z = axes[2], z.count == 1,
      let number = SectionNumber(exactly: z.lowerBound), columns.lowerBound >= 0, rows.lowerBound >= 0,
      let window = Pyramid.window(
        y: rows.lowerBound / Pyramid.side, x: columns.lowerBound / Pyramid.side, height: height, width: width),
      window.rows == rows, window.columns == columns
    else { return nil }
    return (window, number)
  }

  /// `0-256`, `-5--4`.
  private static func range(_ text: Substring) -> Range<Int>? {
    guard let dash = text.dropFirst().firstIndex(of: "-"), let lower = Int(text[..<dash]),
      let upper = Int(text[text.index(after: dash)...]), lower < upper
    else { return nil }
    return lower..<upper
  }
}
