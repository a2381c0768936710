import DB
import Domain
import Synchronization
import Volumes

/// What the pages need to know of one section.
struct SectionView: Sendable {
  var z: SectionNumber
  var height: Int
  var width: Int
  /// Its pixels in the store; nil while it is missing.
  var image: String?
  /// Its products; nil until they are made.
  var product: String?
}

/// The volumes with their sections, as the record and the store hold them.
struct Catalogue: Sendable {
  let pool: RecordPool
  /// Folder of a volume's section files, by name.
  let folder: @Sendable (String) -> String
  /// Segment of each label of a section, as of an operation.
  private let tables: ByteCache<TableKey, [UInt64]>

  private struct TableKey: Hashable {
    var volume: Int64
    var z: SectionNumber
    var product: String
    var operation: Int64
  }

  init(pool: RecordPool, folder: @escaping @Sendable (String) -> String, cache: Int) {
    self.pool = pool
    self.folder = folder
    tables = ByteCache(limit: cache)
  }

  func store(_ volume: String) -> SectionStore { SectionStore(directory: folder(volume)) }

  static func volume(_ record: Record, _ name: String) throws -> VolumeRow {
    guard let found = try record.volumes().first(where: { $0.name == name }) else {
      throw WebError.notFound("there is no volume \(name)")
    }
    return found
  }

  func volume(_ name: String) async throws -> VolumeRow {
    try await pool.read { record in try Self.volume(record, name) }
  }

  /// A section that is there; nil if it is missing or unknown.
  func section(_ volume: VolumeRow, _ z: SectionNumber) async throws -> SectionView? {
    try await pool.read { record in
      guard let row = try record.section(volume.id, z: z), let sha = row.sha256,
        let height = row.height, let width = row.width
      else { return nil }
      return SectionView(
        z: z, height: height, width: width, image: imageName(z, sha), product: row.file.flatMap { $0.isEmpty ? nil : $0 })
    }
  }

  /// Segment by label, 0 for label 0 and for fragments that were not there then.
  /// - Parameter operation: the state after it; nil: now, provisional segments included.
  func segments(_ volume: VolumeRow, _ section: SectionView, asOf operation: Int64?) async throws -> [UInt64] {
    guard let product = section.product else { return [0] }
    return try await pool.read { [tables] record in
      let newest = try operation ?? record.lastOperation(volume: volume.id) ?? 0
      let key = TableKey(
        volume: volume.id, z: section.z, product: product, operation: operation == nil ? -newest : newest)
      if let known = tables[key] { return known }
      var table: [UInt64] = [0]
      for member in try record.membership(volume: volume.id, z: section.z, asOf: operation) {
        let label = Int(member.fragment.label)
        if label >= table.count { table += [UInt64](repeating: 0, count: label + 1 - table.count) }
        table[label] = member.segment.rawValue
      }
      tables.insert(table, bytes: table.count * 8, for: key)
      return table
    }
  }

  /// The range of sections that are there.
  func extent(_ volume: VolumeRow) async throws -> ClosedRange<SectionNumber>? {
    try await pool.read { record in
      let rows = try record.connection.execute(
        """
        select min(z), max(z) from section
        where volume_id = $1 and state in ('received', 'provisional', 'final')
        """, [.int(volume.id)])
      guard let first = try rows.optionalInt(0, 0), let last = try rows.optionalInt(0, 1) else { return nil }
      return SectionNumber(first)...SectionNumber(last)
    }
  }
}
