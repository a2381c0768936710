import DB
import Domain
import Foundation
import Volumes

/// Answers about a volume, out of the record. Everything here is a small query, whatever the height of the stack.
enum VolumeQueries {
  struct Volume: Encodable {
    var name: String
    var voxelSizeNm: [Double]
    var height: Int?
    var width: Int?
    var firstZ: Int32?
    var lastZ: Int32?
    /// Last section, once the operator said so.
    var finishedAt: Int32?
    var operation: Int64?
    var sections: [String: Int]
  }

  static func volume(_ record: Record, _ row: VolumeRow) throws -> Volume {
    let status = try record.status(row.id)
    let range = try record.connection.execute(
      "select min(z), max(z) from section where volume_id = $1 and state <> 'superseded'", [.int(row.id)])
    return Volume(
      name: row.name, voxelSizeNm: [row.voxelSize.z, row.voxelSize.y, row.voxelSize.x], height: row.height,
      width: row.width, firstZ: try range.optionalInt(0, 0).map { Int32($0) },
      lastZ: try range.optionalInt(0, 1).map { Int32($0) }, finishedAt: row.lastZ, operation: status.lastOperation?.id,
      sections: Dictionary(uniqueKeysWithValues: status.sections.map { ($0.key.rawValue, $0.value) }))
  }

  struct Strip: Encodable {
    var firstZ: Int32?
    /// A letter a section from `firstZ` on: r received, p provisional, f final, m missing (declared), s set aside (a stage failed
    /// on it), `.` not there.
    var states: String
    /// Sections that are set aside, or with a warning: the lowest 200.
    var notes: [Note]
    /// Sections of which there is more than one revision.
    var revised: [Int32]
  }

  struct Note: Encodable {
    var z: Int32
    var text: String
  }

  static func strip(_ record: Record, _ volume: VolumeRow) throws -> Strip {
    let rows = try record.connection.execute(
      """
      select z, state, revision, coalesce(case when state = 'set_aside' then set_aside_reason end, note) from section
      where volume_id = $1 and state <> 'superseded' order by z
      """, [.int(volume.id)])
    var strip = Strip(firstZ: nil, states: "", notes: [], revised: [])
    var next: Int64 = 0
    for row in 0..<rows.count {
      let z = try rows.int(row, 0)
      if strip.firstZ == nil { (strip.firstZ, next) = (Int32(z), z) }
      strip.states += String(repeating: ".", count: Int(z - next))
      strip.states += try rows.text(row, 1).prefix(1)
      next = z + 1
      if try rows.int(row, 2) > 1 { strip.revised.append(Int32(z)) }
      if let note = try rows.optionalText(row, 3), strip.notes.count < 200 {
        strip.notes.append(Note(z: Int32(z), text: note))
      }
    }
    return strip
  }

  struct Section: Encodable {
    var z: Int32
    /// 0 for a section that has not come.
    var revision: Int
    /// A section's state, or `absent` for a hole.
    var state: String
    var height: Int?
    var width: Int?
    var meanIntensity: Double?
    var stdIntensity: Double?
    var sourcePath: String?
    var sha256: String?
    var runId: Int64?
    var note: String?
    /// Levels of its tiles.
    var levels: Int?
    /// Operation that wrote the segments shown at the moment asked for; absent where there are none.
    var segmentation: Int64?
    /// File of its affinities; absent where there are none to show.
    var products: String?
    /// The coarse affinities are in it too.
    var coarse = false
    /// Operation after which it was final for the first time.
    var finalAtOperation: Int64?
  }

  static func section(
    _ record: Record, _ volume: VolumeRow, _ z: Int32, asOf operation: Int64?, store: SectionStore
  ) throws -> Section {
    guard let row = try record.section(volume.id, z: z) else {
      let extent = try record.connection.execute(
        "select min(z) < $2 and max(z) > $2 from section where volume_id = $1", [.int(volume.id), .int(z)])
      // A hole is a place in the volume; what lies outside is not.
      guard try extent.optionalText(0, 0) == "t" else {
        throw WebError.notFound("volume \(volume.name) has no section \(z)")
      }
      return Section(z: z, revision: 0, state: "absent")
    }
    let first = try record.connection.execute(
      "select operation_of_section($1::integer, $2::integer)", [.int(volume.id), .int(z)]
    ).optionalInt(0, 0)
    let shown = try record.segmentation(volume: volume.id, z: z, asOf: operation)
    var levels: Int?
    if let height = row.height, let width = row.width {
      levels = Pyramid.levels(SectionSize(height: height, width: width))
    }
    let file = row.file ?? ""
    let parts = file.isEmpty ? [] : (try? store.parts(file)) ?? []
    return Section(
      z: z, revision: row.revision, state: row.state.rawValue, height: row.height, width: row.width,
      meanIntensity: row.meanIntensity, stdIntensity: row.stdIntensity, sourcePath: row.sourcePath, sha256: row.sha256,
      runId: row.runID, note: row.note, levels: levels,
      segmentation: shown.flatMap { $0.fragments > 0 ? $0.operation : nil },
      products: parts.contains(.affinities) ? file : nil, coarse: parts.contains(.coarse), finalAtOperation: first)
  }

  struct Rates: Encodable {
    var bucketSeconds: Int
    /// Ends with the bucket of now.
    var received: [Int]
    var segmented: [Int]
  }

  /// Sections received and segmented in each of the last `buckets` spans of time.
  static func rates(_ record: Record, _ volume: VolumeRow, bucketSeconds: Int, buckets: Int) throws -> Rates {
    var rates = Rates(
      bucketSeconds: bucketSeconds, received: Array(repeating: 0, count: buckets),
      segmented: Array(repeating: 0, count: buckets))
    let rows = try record.connection.execute(
      """
      select what, floor(extract(epoch from now() - at) / $2::bigint)::bigint as age, count(*)
      from section, lateral (values (0, received_at), (1, segmented_at)) as moment (what, at)
      where volume_id = $1 and at > now() - make_interval(secs => $2::double precision * $3) and at <= now()
      group by 1, 2
      """, [.int(volume.id), .int(bucketSeconds), .int(buckets)])
    for row in 0..<rows.count {
      let index = buckets - 1 - Int(try rows.int(row, 1))
      guard rates.received.indices.contains(index) else { continue }
      if try rows.int(row, 0) == 0 {
        rates.received[index] = Int(try rows.int(row, 2))
      } else {
        rates.segmented[index] = Int(try rows.int(row, 2))
      }
    }
    return rates
  }

  struct SetAside: Encodable {
    var path: String
    var reason: String
    var noticedAt: String
  }

  /// Files set aside, the latest first.
  /// - Parameter hidden: whether a path is not to be told.
  static func quarantine(_ record: Record, hidden: (String) -> Bool) throws -> [SetAside] {
    try record.openQuarantine().filter { !hidden($0.file.path) }.suffix(500).reversed().map {
      SetAside(path: $0.file.path, reason: $0.reason, noticedAt: $0.noticedAt)
    }
  }

  struct Segment: Encodable {
    var segmentId: BigID
    var state: String
    var color: String
    /// What it is part of now; absent if it stands for itself or vanished.
    var successorId: BigID?
    // The rest is absent where it had no fragments at the moment asked for.
    var sizeVoxels: Int64?
    var volumeUm3: Double?
    var firstZ: Int32?
    var lastZ: Int32?
    var sections: Int?
    var fragments: Int?
    /// z, y, x, half open.
    var box: [[Int64]]?
    var centroid: [Double]?
  }

  /// - Parameter operation: as it was after it, final fragments only; nil: as it is.
  static func segment(_ record: Record, _ volume: VolumeRow, _ id: UInt64, asOf operation: Int64?) throws -> Segment {
    guard let signed = Int64(exactly: id) else { throw WebError.notFound("there is no segment \(id)") }
    let known = try record.connection.execute(
      "select state, successor_id from segment where volume_id = $1 and segment_id = $2",
      [.int(volume.id), .int(signed)])
    guard known.count == 1 else { throw WebError.notFound("volume \(volume.name) has no segment \(id)") }
    let color = SegmentPalette.color(of: id)
    var segment = Segment(
      segmentId: BigID(id), state: try known.text(0, 0), color: hex(color),
      successorId: try known.optionalInt(0, 1).map { BigID(UInt64(bitPattern: $0)) })
    // One row, made of the segment's own fragments.
    let facts = try record.connection.execute(
      """
      select sum(area_px)::bigint, min(z), max(z), count(distinct z), count(*), min(min_y), min(min_x), max(max_y),
        max(max_x), sum(z::double precision * area_px) / sum(area_px), sum(centroid_y * area_px) / sum(area_px),
        sum(centroid_x * area_px) / sum(area_px)
      from fragments_as_of($1::integer, $2::bigint, $3::bigint)
      """, [.int(volume.id), .int(optional: operation), .int(signed)])
    guard let size = try facts.optionalInt(0, 0) else { return segment }
    let (first, last) = (try facts.int(0, 1), try facts.int(0, 2))
    segment.sizeVoxels = size
    segment.volumeUm3 = Double(size) * volume.voxelSize.z * volume.voxelSize.y * volume.voxelSize.x / 1e9
    segment.firstZ = Int32(first)
    segment.lastZ = Int32(last)
    segment.sections = Int(try facts.int(0, 3))
    segment.fragments = Int(try facts.int(0, 4))
    segment.box = [
      [first, try facts.int(0, 5), try facts.int(0, 6)], [last + 1, try facts.int(0, 7), try facts.int(0, 8)],
    ]
    segment.centroid = [try facts.double(0, 9), try facts.double(0, 10), try facts.double(0, 11)]
    return segment
  }

  static func hex(_ color: RGB) -> String {
    "#" + [color.red, color.green, color.blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  struct Event: Encodable {
    var lineageId: Int64
    var event: String
    var segmentId: BigID
    var otherSegmentId: BigID?
    var z: Int32
    var score: Double?
    var at: String
    /// Kind of the operation, and who did it.
    var operation: String
    var actor: String?
    var operationId: Int64
    var runId: Int64?
  }

  /// What happened to a segment and, before they became part of it, to its ancestors, in order; the last `limit` events.
  static func history(
    _ record: Record, _ volume: VolumeRow, _ id: UInt64, asOf operation: Int64?, limit: Int
  ) throws -> [Event] {
    guard let signed = Int64(exactly: id) else { return [] }
    let rows = try record.connection.execute(
      """
      select lineage_id, event, segment_id, other_segment_id, z, score, at, operation, actor, operation_id, run_id
      from (select * from history($1, $2::bigint, $3::bigint) order by lineage_id desc limit $4) h order by lineage_id
      """, [.text(volume.name), .int(signed), .int(optional: operation), .int(limit)])
    return try (0..<rows.count).map { row in
      Event(
        lineageId: try rows.int(row, 0), event: try rows.text(row, 1),
        segmentId: BigID(UInt64(bitPattern: try rows.int(row, 2))),
        otherSegmentId: try rows.optionalInt(row, 3).map { BigID(UInt64(bitPattern: $0)) },
        z: Int32(try rows.int(row, 4)), score: try rows.optionalDouble(row, 5), at: try rows.text(row, 6),
        operation: try rows.text(row, 7), actor: try rows.optionalText(row, 8), operationId: try rows.int(row, 9),
        runId: try rows.optionalInt(row, 10))
    }
  }

  /// The largest segments, as Neuroglancer's inline `segment_properties`.
  static func properties(_ record: Record, _ volume: VolumeRow, limit: Int) throws -> SegmentProperties {
    let rows = try record.connection.execute(
      """
      select segment_id, size_voxels, sections from segments where volume = $1 order by size_voxels desc limit $2
      """, [.text(volume.name), .int(limit)])
    var result = SegmentProperties()
    for row in 0..<rows.count {
      result.inline.ids.append(String(UInt64(bitPattern: try rows.int(row, 0))))
      result.inline.properties[0].values.append(Double(try rows.int(row, 1)))
      result.inline.properties[1].values.append(Double(try rows.int(row, 2)))
    }
    return result
  }

  struct SegmentProperties: Encodable {
    struct Property: Encodable {
      var id: String
      var type = "number"
      var data_type = "float32"
      var description: String
      var values: [Double] = []
    }
    struct Inline: Encodable {
      var ids: [String] = []
      var properties = [
        Property(id: "size", description: "voxels"), Property(id: "sections", description: "sections that it crosses"),
      ]
    }
    var atType = "neuroglancer_segment_properties"
    var inline = Inline()
    enum CodingKeys: String, CodingKey {
      case atType = "@type"
      case inline
    }
  }
}
