import DB
import Domain
import Synchronization
import Volumes

/// What is to be known of one section in order to show it.
struct SectionView: Sendable {
  var volume: VolumeRow
  var z: SectionNumber
  var size: SectionSize
  /// Its pixels in the store.
  var image: String
  /// Its newest products in the store; nil until they are made.
  var product: String?
  /// What is shown of it at the moment asked for; nil without segments.
  var shown: ShownSegmentation?

  /// Where the fragments' pixels come from, by a name that is never used for others; nil where there are none to show.
  var labelSource: String? {
    guard let shown, shown.fragments > 0 else { return nil }
    if let operation = shown.labelsOperation { return "labels-\(volume.id)-\(z)-\(operation)" }
    return shown.file == product ? product : nil
  }
}

/// The volumes with their sections, as the record and the store hold them. Volumes that not every reader may see are not shown.
struct Catalogue: Sendable {
  let pool: RecordPool
  /// Folder of a volume's section files, by name.
  let folder: @Sendable (String) -> String
  /// Segment of each label of a section, as of an operation.
  private let tables: ByteCache<TableKey, SegmentTable>

  private struct TableKey: Hashable {
    var volume: Int64
    var z: SectionNumber
    /// Operation that wrote what is shown.
    var shown: Int64
    /// State after this operation; nil: `newest`, provisional segments included.
    var asOf: Int64?
    var newest: Int64?
  }

  init(pool: RecordPool, folder: @escaping @Sendable (String) -> String, cache: Int) {
    self.pool = pool
    self.folder = folder
    tables = ByteCache(limit: cache)
  }

  func store(_ volume: String) -> SectionStore { SectionStore(directory: folder(volume)) }

  /// The volumes that may be shown, by name.
  static func volumes(_ record: Record) throws -> [VolumeRow] {
    let closed = try record.connection.execute("select unnest(closed_volumes())")
    let hidden = Set(try (0..<closed.count).map { try closed.int($0, 0) })
    return try record.volumes().filter { !hidden.contains($0.id) }
  }

  static func volume(_ record: Record, _ name: String) throws -> VolumeRow {
    guard let found = try volumes(record).first(where: { $0.name == name }) else {
      throw WebError.notFound("there is no volume \(name)")
    }
    return found
  }

  /// A section with pixels.
  /// - Parameter operation: segments as they were after it; nil: as they are, provisional ones included.
  /// - Throws: `WebError.notFound` if it is missing, unknown or not there yet.
  static func section(
    _ record: Record, _ volume: VolumeRow, _ z: SectionNumber, asOf operation: Int64?
  ) throws -> SectionView {
    guard let row = try record.section(volume.id, z: z) else {
      throw WebError.notFound("volume \(volume.name) has no section \(z)")
    }
    guard let sha = row.sha256, let height = row.height, let width = row.width else {
      throw WebError.notFound("section \(z) of volume \(volume.name) is \(row.state.rawValue): it has no pixels")
    }
    return SectionView(
      volume: volume, z: z, size: SectionSize(height: height, width: width), image: imageName(z, sha),
      product: row.file.flatMap { $0.isEmpty ? nil : $0 },
      shown: try record.segmentation(volume: volume.id, z: z, asOf: operation))
  }

  /// Segment by label.
  func table(_ record: Record, _ section: SectionView, asOf operation: Int64?) throws -> SegmentTable {
    guard let shown = section.shown, shown.fragments > 0 else { return .empty }
    let newest = operation == nil ? try record.lastOperation(volume: section.volume.id) ?? 0 : nil
    let key = TableKey(
      volume: section.volume.id, z: section.z, shown: shown.operation, asOf: operation, newest: newest)
    if let known = tables[key] { return known }
    let table = SegmentTable(try record.segmentsByLabel(volume: section.volume.id, z: section.z, asOf: operation))
    tables.insert(table, bytes: table.segments.count * 8, for: key)
    return table
  }

  /// Full-size labels of a window.
  func labels(_ record: Record, _ section: SectionView, _ window: PlaneWindow) throws -> Plane<UInt32> {
    if let operation = section.shown?.labelsOperation {
      return try record.labels(volume: section.volume.id, z: section.z, operation: operation, window)
    }
    return try store(section.volume.name).readFragments(section.product ?? "", window)
  }

  /// Full-size intensities or affinities of a window that begins at even pixels.
  /// - Throws: `WebError.notFound` if the section has no such affinities.
  func values(_ section: SectionView, _ layer: Tiles.Layer, _ window: PlaneWindow) throws -> Plane<UInt8> {
    let store = store(section.volume.name)
    let found: Plane<UInt8>?
    switch layer {
    case .affinities(let axis): found = try store.readAffinities(section.product ?? "", axis: axis, window)
    case .coarse(let axis):
      found = try store.readAffinities(section.product ?? "", .coarse, axis: axis, window.halved)
        .map { Pyramid.doubled($0, height: window.height, width: window.width) }
    case .image, .labels:
      let pixels = try store.readSource(section.image, window)
      found = Plane(
        height: pixels.height, width: pixels.width,
        storage: pixels.storage.map { UInt8((min(max($0, 0), 1) * 255).rounded()) })
    }
    guard let found else { throw WebError.notFound("section \(section.z) was made without \(layer.name)") }
    return found
  }

  /// The range of sections with pixels.
  static func extent(_ record: Record, _ volume: VolumeRow) throws -> ClosedRange<SectionNumber>? {
    let rows = try record.connection.execute(
      """
      select min(z), max(z) from section
      where volume_id = $1 and state not in ('missing', 'superseded')
      """, [.int(volume.id)])
    guard let first = try rows.optionalInt(0, 0), let last = try rows.optionalInt(0, 1) else { return nil }
    return SectionNumber(first)...SectionNumber(last)
  }
}
