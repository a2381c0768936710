import DB
import Domain
import Foundation
import Volumes

/// Tables and point clouds of a volume as comma-separated values.
struct TableExport {
  let record: Record
  let volume: VolumeRow
  /// Made if it is not there.
  let folder: String
  /// Nil: now, sections that are not final yet included.
  let moment: Moment?

  init(_ record: Record, _ volume: VolumeRow, folder: String, asOf moment: Moment? = nil) throws {
    self.record = record
    self.volume = volume
    self.folder = folder
    self.moment = moment
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
      throw OperatorError("the folder \(folder) cannot be made; choose another", status: .cannotCreate)
    }
  }

  /// Writes every table that can be exported, all of one snapshot.
  /// - Returns: a line for each file.
  func writeTables() throws -> [String] {
    try record.snapshot {
      let operation = try moment.map { try record.operation(volume, at: $0) }
      return try Record.exportedTables.map { table in
        let path = "\(folder)/\(table.name).csv"
        let writer = try TextFileWriter(path: path)
        var failure: VolumeError?
        // Line ends within quoted fields are no rows; the server sends a row at a time.
        var rows = -1
        try record.copyOut(table, volume: volume.name, asOf: operation) { bytes in
          do throws(VolumeError) { try writer.append(bytes) } catch { failure = error }
          rows += 1
          return failure == nil
        }
        if let failure { throw failure }
        try writer.finish()
        return "\(path): \(rows) rows"
      }
    }
  }

  /// Writes a file SEGMENT.csv for each segment: a point for each fragment, and the next one on the way to the segment's root.
  /// - Parameter chosen: nil for all that are live.
  /// - Returns: what was written, in a line.
  func writePoints(_ chosen: Set<UInt64>?) throws -> String {
    try record.snapshot {
      let operation = try moment.map { try record.operation(volume, at: $0) }
      let segments =
        try chosen.map { $0.sorted().map { SegmentID(rawValue: $0) } }
        ?? record.liveSegments(volume: volume.id, asOf: operation)
      var count = 0
      for segment in segments {
        let points = try record.points(volume: volume.id, segment: segment, asOf: operation)
        if points.isEmpty && chosen != nil { throw notLive(segment, operation) }
        if points.isEmpty { continue }
        let writer = try TextFileWriter(path: "\(folder)/\(segment).csv")
        try writer.append("fragment_id,z_nm,y_nm,x_nm,area_px,parent_fragment_id\n")
        for point in points {
          let place = [
            Double(point.z) * volume.voxelSize.z, point.y * volume.voxelSize.y, point.x * volume.voxelSize.x,
          ].map { String($0) }.joined(separator: ",")
          try writer.append("\(point.fragment),\(place),\(point.area),\(point.parent.map { "\($0)" } ?? "")\n")
        }
        try writer.finish()
        count += 1
      }
      return "\(folder): \(count) segments"
    }
  }

  private func notLive(_ segment: SegmentID, _ operation: Int64?) -> OperatorError {
    let said = "segment \(segment) of volume \(volume.name)"
    return OperatorError(
      operation.map { "\(said) was not live after operation \($0); choose another moment" }
        ?? "\(said) is not live; it may have merged (fgnet.segment.successor_id says into what)", status: .noInput)
  }
}
