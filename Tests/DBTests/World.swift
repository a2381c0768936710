import DB
import Domain

/// A made-up stack: what every section's rows are is a function of the sections there are and of their revisions.
struct World {
  /// Revision of each present section.
  var revisions: [SectionNumber: Int] = [:]
  /// Whether decisions also depend on the next section, as those of a window do.
  var looksAhead: Bool
  var seed: UInt64

  var present: [SectionNumber] { revisions.keys.sorted() }

  func signature(_ z: SectionNumber) -> UInt32 {
    var generator = SeededGenerator(seed: key([seed, UInt64(bitPattern: Int64(z)), UInt64(revisions[z] ?? 0)]))
    return UInt32(generator.next() & 0x3F_FFFF)
  }

  func fragments(_ z: SectionNumber) -> [(summary: FragmentSummary, id: FragmentID)] {
    Self.fragments(z, signature(z))
  }

  /// Rows and columns of every section.
  static let side = 128

  /// Columns of a section's fragments in each row: stripes that wind, with borders in between.
  static func stripes(_ signature: UInt32) -> [[Range<Int>]] {
    var generator = SeededGenerator(seed: UInt64(signature))
    let count = Int.random(in: 1...6, using: &generator)
    var offset = 0
    let firstRow = Int.random(in: 0..<20, using: &generator)
    return (0..<side).map { y in
      if y < firstRow { return [] }
      if y % 4 == 0 { offset = min(max(offset + Int.random(in: -1...1, using: &generator), 0), 6) }
      return (0..<count).map { (20 * $0 + offset)..<(20 * $0 + 14 + offset) }
    }
  }

  static func fragments(
    _ z: SectionNumber, _ signature: UInt32
  ) -> [(summary: FragmentSummary, id: FragmentID)] {
    let rows = stripes(signature)
    let count = rows[side - 1].count
    return (0..<count).map { index in
      let label = UInt32(index + 1)
      let pixels = rows.enumerated().filter { !$0.element.isEmpty }.map { (y: $0.offset, x: $0.element[index]) }
      let area = pixels.reduce(0) { $0 + $1.x.count }
      let y = pixels.reduce(0) { $0 + $1.y * $1.x.count }
      let x = pixels.reduce(0) { $0 + $1.x.reduce(0, +) }
      let summary = FragmentSummary(
        label: label, area: area, minY: Int32(pixels[0].y), minX: Int32(pixels.map(\.x.lowerBound).min() ?? 0),
        maxY: Int32(side), maxX: Int32(pixels.map(\.x.upperBound).max() ?? 0), centroidY: Double(y) / Double(area),
        centroidX: Double(x) / Double(area))
      return (summary, FragmentID(z: z, signature: signature, label: label))
    }
  }

  /// The label of each pixel, row by row.
  static func labels(_ signature: UInt32) -> [UInt32] {
    var labels = [UInt32](repeating: 0, count: side * side)
    for (y, row) in stripes(signature).enumerated() {
      for (index, columns) in row.enumerated() { for x in columns { labels[y * side + x] = UInt32(index + 1) } }
    }
    return labels
  }

  static func tiles(_ signature: UInt32) -> LabelTiles {
    var tiles = LabelTiles(width: side)
    tiles.append(labels(signature))
    return tiles
  }

  func edges(_ z: SectionNumber) -> [EdgeRow] {
    let place = present.firstIndex(of: z) ?? 0
    let below = place > 0 ? present[place - 1] : nil
    let above = looksAhead && place + 1 < present.count ? present[place + 1] : nil
    var parts = [seed, UInt64(signature(z))]
    for other in [below, above] { parts.append(other.map { UInt64(signature($0)) } ?? 0) }
    let own = fragments(z).map(\.id)
    return Self.edges(own, below.map { fragments($0).map(\.id) } ?? [], key(parts))
  }

  static func edges(_ own: [FragmentID], _ below: [FragmentID], _ seed: UInt64) -> [EdgeRow] {
    var generator = SeededGenerator(seed: seed)
    var edges: [EdgeRow] = []
    for b in own {
      for a in below + own where a < b && Int.random(in: 0..<10, using: &generator) < 5 {
        let score = Float(Int.random(in: 0...20, using: &generator)) / 20
        edges.append(
          EdgeRow(
            a: a, b: b, contactArea: Int.random(in: 1...40, using: &generator), meanAffinity: score / 2, score: score,
            accepted: Int.random(in: 0..<100, using: &generator) < 35))
      }
    }
    return edges.sorted { ($0.a, $0.b) < ($1.a, $1.b) }
  }

  func commit(_ z: SectionNumber, settled: [SettledOverlap] = []) -> SectionCommit {
    SectionCommit(
      z: z, file: "z\(z).h5", signature: "\(signature(z))", fragments: fragments(z), edges: edges(z), settled: settled,
      labels: Self.tiles(signature(z)))
  }

  /// What the tables must say, by the definition: components over all accepted edges, named by their smallest fragment.
  func membership() -> [FragmentID: SegmentID] {
    var name: [FragmentID: FragmentID] = [:]
    for z in present { for fragment in fragments(z) { name[fragment.id] = fragment.id } }
    let accepted = present.flatMap { edges($0) }.filter(\.accepted)
    var changed = true
    while changed {
      changed = false
      for edge in accepted {
        guard let a = name[edge.a], let b = name[edge.b], a != b else { continue }
        name[edge.a] = min(a, b)
        name[edge.b] = min(a, b)
        changed = true
      }
    }
    return name.mapValues { SegmentID(rawValue: $0.rawValue) }
  }

  /// Sections whose rows differ from those of another world.
  func differences(from old: World) -> [SectionNumber] {
    present.filter { z in
      guard old.revisions[z] != nil else { return true }
      return fragments(z).map(\.id) != old.fragments(z).map(\.id) || edges(z) != old.edges(z)
    }
  }

  private func key(_ parts: [UInt64]) -> UInt64 {
    var key: UInt64 = 0
    for part in parts {
      var generator = SeededGenerator(seed: key ^ part)
      key = generator.next()
    }
    return key
  }
}

/// A volume in a database, with its sections taken in as they are needed.
final class TestVolume {
  let database: TestDatabase
  let record: Record
  let volume: Int64
  let run: Int64
  private let height: Int
  private let width: Int

  init(height: Int = World.side, width: Int = World.side) throws {
    self.height = height
    self.width = width
    database = try TestDatabase()
    record = Record(database.connection)
    volume = try record.openVolume(name: "cortex", voxelSize: VoxelSize(z: 40, y: 4, x: 4)).id
    run = try record.startRun(
      volume: volume, configuration: "{}", fingerprint: "f", modelHash: nil, codeVersion: "test")
  }

  @discardableResult
  func receive(_ z: SectionNumber, bytes: Int, path: String? = nil) throws -> ReceiveOutcome {
    let digits = String(bytes, radix: 16)
    return try record.receive(
      volume: volume, z: z, sha256: String(repeating: "0", count: 64 - digits.count) + digits,
      path: path ?? "/scope/\(z)-\(bytes).tif", size: 100, mtimeNs: 7, height: height, width: width,
      bitDepth: 8, meanIntensity: 0.5, run: run)
  }

  /// Membership of final fragments, as the current tables say.
  func membership() throws -> [FragmentID: SegmentID] {
    let rows = try database.connection.execute(
      """
      select f.fragment_id, s.live_id from fragment f
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id where f.state = 'final'
      """)
    return try Self.dictionary(rows)
  }

  func membership(asOf operation: Int64) throws -> [FragmentID: SegmentID] {
    var result: [FragmentID: SegmentID] = [:]
    for member in try record.membership(volume: volume, asOf: operation) { result[member.fragment] = member.segment }
    return result
  }

  /// Rows of the table that were read so far, by whatever plan.
  func rowsRead(of table: String) throws -> Int64 {
    // What a session counted is handed in when it becomes idle, but not often unless it is told to.
    try database.connection.execute("select pg_stat_force_next_flush()")
    return try database.connection.execute(
      "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname = $1",
      [.text(table)]
    ).int(0, 0)
  }

  static func dictionary(_ rows: QueryResult) throws -> [FragmentID: SegmentID] {
    var result: [FragmentID: SegmentID] = [:]
    for row in 0..<rows.count {
      result[FragmentID(rawValue: UInt64(try rows.int(row, 0)))] = SegmentID(rawValue: UInt64(try rows.int(row, 1)))
    }
    return result
  }

  func liveSegments() throws -> Set<Int64> {
    let rows = try database.connection.execute("select segment_id from segment where state = 'live'")
    return Set(try (0..<rows.count).map { try rows.int($0, 0) })
  }

  /// Final rows as text, without the numbers of operations, which depend on the history.
  func finalTables() throws -> [[[String]]] {
    let connection = database.connection
    return [
      try connection.execute(
        """
        select f.fragment_id, s.live_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y,
          f.centroid_x from fragment f join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
        where f.state = 'final' order by 1
        """
      ).table(columns: 11),
      try connection.execute(
        """
        select fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score, accepted from region_edge
        order by 1, 2
        """
      ).table(columns: 8),
      try connection.execute("select segment_id from segment where state = 'live' order by 1").table(columns: 1),
    ]
  }
}
