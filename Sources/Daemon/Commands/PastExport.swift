import DB
import Domain
import Volumes

/// The segments of a volume at a moment, from the label tiles in the database: files of replaced sections are not needed.
struct PastExport {
  let record: Record
  let volume: VolumeRow
  let moment: Moment
  let output: String

  /// Writes final sections as planes of segments, all of one snapshot.
  /// - Returns: what was written, in a line.
  func write() throws -> String {
    try record.snapshot {
      let operation = try record.operation(volume, at: moment)
      let sections = try record.sections(volume: volume.id, asOf: operation)
      guard let first = sections.first(where: { $0.fragmentBase != nil })?.z,
        let last = sections.last(where: { $0.fragmentBase != nil })?.z, let height = volume.height,
        let width = volume.width
      else {
        throw OperatorError(
          "volume \(volume.name) had no final segments after operation \(operation); choose a later moment",
          status: .noInput)
      }
      if let bare = sections.first(where: { $0.fragmentBase != nil && $0.labels == nil }) {
        throw OperatorError(
          "the label tiles of section \(bare.z) of volume \(volume.name) after operation \(operation) are not in the database: "
            + "those of revisions before schema step 3 were not kept, others the daemon adds when it is idle",
          status: .noInput)
      }
      let writer = try LabelVolumeWriter(
        path: output, dataset: "labels", count: Int(last - first) + 1, height: height, width: width,
        resolution: (volume.voxelSize.z, volume.voxelSize.y, volume.voxelSize.x),
        offset: (Double(first) * volume.voxelSize.z, 0, 0),
        attributes: ["first_z": String(first), "volume": volume.name, "as_of_operation": String(operation)])
      try write(sections, to: writer, from: first, height: height, width: width, operation: operation)
      try writer.finish()
      return "\(output): z \(first) to \(last), \(height) x \(width), after operation \(operation)"
    }
  }

  /// Members come in the order of their sections, so that one section's segments are held at a time.
  private func write(
    _ sections: [PastSection], to writer: LabelVolumeWriter, from first: SectionNumber, height: Int, width: Int,
    operation: Int64
  ) throws {
    var table: [UInt64] = []
    var next = first
    var failure: (any Error)?
    func append(_ section: PastSection) throws {
      while next < section.z {
        try writer.append(Plane(height: height, width: width, repeating: 0))
        next += 1
      }
      guard let labels = section.labels else { return }
      let plane = try record.labels(volume: volume.id, z: section.z, operation: labels, height: height, width: width)
      let segments = plane.storage.map { Int($0) < table.count ? table[Int($0)] : 0 }
      try writer.append(Plane(height: height, width: width, storage: segments))
      next += 1
    }
    var waiting = sections.filter { $0.fragmentBase != nil }[...]
    try record.forEachMember(volume: volume.id, asOf: operation) { (fragment, segment) throws(DatabaseError) in
      guard failure == nil else { return }
      do {
        while let section = waiting.first, section.z < fragment.z {
          try append(section)
          table = []
          waiting.removeFirst()
        }
      } catch { failure = error }
      let label = Int(fragment.label)
      if label >= table.count { table += [UInt64](repeating: 0, count: label + 1 - table.count) }
      table[label] = segment.rawValue
    }
    if let failure { throw failure }
    for section in waiting {
      try append(section)
      table = []
    }
  }
}
