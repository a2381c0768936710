import DB
import Domain
import Foundation

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
    /// A letter a section from `firstZ` on: r received, p provisional, f final, m missing (declared), `.` not there.
    var states: String
    /// Sections with a warning.
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
      select z, state, revision, note from section where volume_id = $1 and state <> 'superseded' order by z
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
    var revision: Int
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
    /// Operation after which it was final for the first time.
    var finalAtOperation: Int64?
  }

  static func section(_ record: Record, _ volume: VolumeRow, _ z: Int32) throws -> Section {
    guard let row = try record.section(volume.id, z: z) else {
      throw WebError.notFound("volume \(volume.name) has no section \(z)")
    }
    let operation = try record.connection.execute(
      "select operation_of_section($1, $2)", [.int(volume.id), .int(z)]
    ).optionalInt(0, 0)
    var levels: Int?
    if let height = row.height, let width = row.width { levels = Pyramid.levels(height: height, width: width) }
    return Section(
      z: z, revision: row.revision, state: row.state.rawValue, height: row.height, width: row.width,
      meanIntensity: row.meanIntensity, stdIntensity: row.stdIntensity, sourcePath: row.sourcePath, sha256: row.sha256,
      runId: row.runID, note: row.note, levels: levels, finalAtOperation: operation)
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
  static func quarantine(_ record: Record) throws -> [SetAside] {
    try record.openQuarantine().suffix(500).reversed().map {
      SetAside(path: $0.file.path, reason: $0.reason, noticedAt: $0.noticedAt)
    }
  }

  struct Segment: Encodable {
    var segmentId: BigID
    var state: String
    var color: String
    /// What it is part of now; absent if it stands for itself or vanished.
    var successorId: BigID?
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

  static func segment(_ record: Record, _ volume: VolumeRow, _ id: UInt64) throws -> Segment {
    guard let signed = Int64(exactly: id) else { throw WebError.notFound("there is no segment \(id)") }
    let known = try record.connection.execute(
      "select state, successor_id from segment where volume_id = $1 and segment_id = $2", [.int(volume.id), .int(signed)])
    guard known.count == 1 else { throw WebError.notFound("volume \(volume.name) has no segment \(id)") }
    let color = SegmentPalette.color(of: id)
    var segment = Segment(
      segmentId: BigID(id), state: try known.text(0, 0), color: hex(color),
      successorId: try known.optionalInt(0, 1).map { BigID(UInt64(bitPattern: $0)) })
    let facts = try record.connection.execute(
      """
      select size_voxels, volume_um3, first_z, last_z, sections, fragments, min_y, min_x, max_y, max_x,
        centroid_z, centroid_y, centroid_x
      from segments where volume = $1 and segment_id = $2
      """, [.text(volume.name), .int(signed)])
    guard facts.count == 1 else { return segment }
    let (first, last) = (try facts.int(0, 2), try facts.int(0, 3))
    segment.sizeVoxels = try facts.int(0, 0)
    segment.volumeUm3 = try facts.double(0, 1)
    segment.firstZ = Int32(first)
    segment.lastZ = Int32(last)
    segment.sections = Int(try facts.int(0, 4))
    segment.fragments = Int(try facts.int(0, 5))
    segment.box = [
      [first, try facts.int(0, 6), try facts.int(0, 7)], [last + 1, try facts.int(0, 8), try facts.int(0, 9)],
    ]
    segment.centroid = [try facts.double(0, 10), try facts.double(0, 11), try facts.double(0, 12)]
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
    var operationId: Int64
    var runId: Int64?
  }

  /// What happened to a segment, in order; the last `limit` events.
  static func lineage(_ record: Record, _ volume: VolumeRow, _ id: UInt64, limit: Int) throws -> [Event] {
    guard let signed = Int64(exactly: id) else { return [] }
    let rows = try record.connection.execute(
      """
      select l.lineage_id, l.event, l.segment_id, l.other_segment_id, l.z, l.score, o.at, l.operation_id, o.run_id
      from (
        (select * from lineage_event where volume_id = $1 and segment_id = $2 order by lineage_id desc limit $3)
        union
        (select * from lineage_event where volume_id = $1 and other_segment_id = $2 order by lineage_id desc limit $3)
        order by lineage_id desc limit $3
      ) l join operation o using (operation_id) order by l.lineage_id
      """, [.int(volume.id), .int(signed), .int(limit)])
    var events: [Event] = []
    for row in 0..<rows.count {
      events.append(
        Event(
          lineageId: try rows.int(row, 0), event: try rows.text(row, 1),
          segmentId: BigID(UInt64(bitPattern: try rows.int(row, 2))),
          otherSegmentId: try rows.optionalInt(row, 3).map { BigID(UInt64(bitPattern: $0)) },
          z: Int32(try rows.int(row, 4)), score: try rows.optionalDouble(row, 5), at: try rows.text(row, 6),
          operationId: try rows.int(row, 7), runId: try rows.optionalInt(row, 8)))
    }
    return events
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
