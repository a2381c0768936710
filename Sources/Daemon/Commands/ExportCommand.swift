import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// `fgnetd export`: segments as one HDF5 volume.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a volume's segments as a 3D HDF5 dataset `labels` (z, y, x; uint64).",
    discussion: """
      Missing sections are planes of 0. Attributes hold voxel size (nm) and the first section's number.

      With --for-training the file is a pair that fgnet-train takes: `image` as the microscope wrote it (z, y, x; 8 or 16 bit), \
      `labels`, and `z`, the sections' numbers. It holds final sections only, and missing ones are left out. The command to \
      train on it is printed. --segments names the segments that were proofread; the rest becomes 0, to be ignored in training.

        fgnetd export segments.h5
        fgnetd export --for-training proofread.h5 --segments 4611721202799476737,4611721202799476801
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Flag(help: "Final sections only, not those shown provisionally.") var final = false
  @Flag(help: "Write image and labels as the trainer takes them.") var forTraining = false
  @Option(help: "With --for-training: these segments only; a list with commas, or a file with one or more on a line.")
  var segments: String?
  @Argument(help: "The file to write; with --for-training also a folder, for VOLUME.h5 in it.") var output: String

  func validate() throws {
    if segments != nil && !forTraining { throw ValidationError("--segments goes with --for-training.") }
  }

  func run() throws {
    let configuration = try config.load()
    try withSegmentedVolume(configuration, volume.chosen(configuration)) { segmented in
      if forTraining {
        let chosen = try segments.map(SegmentList.read)
        let export = try TrainingExport(segmented, output: output, segments: chosen)
        try export.write(segmented)
        print(export.summary)
        print(export.command)
      } else {
        try writeLabels(segmented)
      }
    }
  }

  private func writeLabels(_ segmented: SegmentedVolume) throws {
    let sections = segmented.sections.filter { !final || $0.state == .final }
    guard let first = sections.first, let last = sections.last, let height = first.height, let width = first.width
    else {
      throw OperatorError("volume \(segmented.volume.name) has no segments yet", status: .noInput)
    }
    let row = segmented.volume
    let writer = try LabelVolumeWriter(
      path: output, dataset: "labels", count: Int(last.z - first.z) + 1, height: height, width: width,
      resolution: (row.voxelSize.z, row.voxelSize.y, row.voxelSize.x),
      offset: (Double(first.z) * row.voxelSize.z, 0, 0),
      attributes: [
        "first_z": String(first.z), "volume": row.name,
        "as_of_operation": String(try segmented.record.lastOperation(volume: row.id) ?? 0),
      ])
    var byZ: [SectionNumber: SectionRow] = [:]
    for section in sections { byZ[section.z] = section }
    for z in first.z...last.z {
      try writer.append(
        byZ[z].map(segmented.segments) ?? Plane(height: height, width: width, repeating: 0))
    }
    try writer.finish()
    print("\(output): z \(first.z) to \(last.z), \(height) x \(width)")
  }
}
