import DB
import Domain
import Volumes

/// A volume's segments as label planes, from the store and the database together.
struct SegmentedVolume {
  let record: Record
  let volume: VolumeRow
  let store: SectionStore
  /// Sections with rows, in z order.
  let sections: [SectionRow]

  init(record: Record, volume: VolumeRow, configuration: DaemonConfiguration) throws {
    self.record = record
    self.volume = volume
    store = SectionStore(stateDirectory: configuration.stateDirectory, volume: volume.name)
    sections = try record.sections(volume.id).filter {
      ($0.state == .final || $0.state == .provisional) && !($0.file ?? "").isEmpty
    }
  }

  func section(_ z: SectionNumber) throws -> SectionRow {
    guard let found = sections.first(where: { $0.z == z }) else {
      let range = sections.first.flatMap { first in sections.last.map { "z \(first.z) to \($0.z)" } } ?? "none yet"
      throw OperatorError(
        "section \(z) of volume \(volume.name) has no segments; there are: \(range)", status: .noInput)
    }
    return found
  }

  /// The segment of each pixel; 0 where there is none.
  func segments(_ section: SectionRow) throws -> Plane<UInt64> {
    guard let file = section.file, let fragments = try store.read(file, parts: [.fragments]).fragments else {
      throw OperatorError(
        "section \(section.z) of volume \(volume.name) has no fragments (the watershed stage is disabled)",
        status: .noInput)
    }
    var table = [UInt64](repeating: 0, count: fragments.count + 1)
    for member in try record.membership(volume: volume.id, z: section.z) where Int(member.fragment.label) < table.count
    {
      table[Int(member.fragment.label)] = member.segment.rawValue
    }
    let labels = fragments.labels
    return Plane(height: labels.height, width: labels.width, storage: labels.storage.map { table[Int($0)] })
  }

  /// The section as the microscope wrote it.
  func image(_ section: SectionRow) throws -> SectionImage {
    try store.readSource(imageName(section.z, section.sha256 ?? ""))
  }
}

/// Opens a volume's segments for a command.
func withSegmentedVolume<T>(
  _ configuration: DaemonConfiguration, _ name: String, _ body: (SegmentedVolume) throws -> T
) throws -> T {
  try withRecord(configuration) { record in
    try body(
      SegmentedVolume(record: record, volume: volumeRow(record, name), configuration: configuration))
  }
}
