import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// `fgnetd export`: segments as one HDF5 volume, tables and points as CSV.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract:
      "Write a volume's segments as a 3D HDF5 dataset `labels` (z, y, x; uint64), its tables or its points as CSV.",
    discussion: """
      Missing sections are planes of 0. Attributes hold voxel size (nm), the first section's number, and the last operation that is \
      in it.

      With --as-of-section, --as-of-time, --as-of-run or --as-of-operation the segments are those of that moment, replaced \
      sections and undone corrections included; final sections only. So are tables and points.

      With --tables, OUTPUT is a folder for segments.csv, segment_sections.csv, sections.csv, lineage.csv, fragments.csv, edges.csv \
      and corrections.csv, all of one moment: columns as in the database (docs/data-model.md).

      With --points, OUTPUT is a folder for a file SEGMENT.csv for each segment, or for those of --segments: a point for each \
      fragment (the centre of its pixels, nm from the centre of voxel 0), and the next fragment on the way to the segment's first \
      one, by the edges with the highest scores.

      With --for-training the file is a pair that fgnet-train takes: `image` as the microscope wrote it (z, y, x; 8 or 16 bit), \
      `labels`, and `z`, the sections' numbers. It holds final sections only, and missing ones are left out. The command to \
      train on it is printed. --segments names the segments that were proofread; the rest becomes 0, to be ignored in training.

        fgnetd export segments.h5
        fgnetd export --as-of-section 118 then.h5
        fgnetd export --tables tables/
        fgnetd export --tables --as-of-time 2026-05-01T12:00+02 then/
        fgnetd export --for-training proofread.h5 --segments 4611721202799476737,4611721202799476801
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Flag(help: "Final sections only, not those shown provisionally.") var final = false
  @Flag(help: "Write image and labels as the trainer takes them.") var forTraining = false
  @Flag(help: "Write the tables as CSV files.") var tables = false
  @Flag(help: "Write the fragments of each segment as points, a CSV file each.") var points = false
  @OptionGroup var past: MomentOptions
  @Option(
    help:
      "With --for-training or --points: these segments only; a list with commas, or a file with one or more on a line.")
  var segments: String?
  @Argument(
    help:
      "The file to write; with --for-training also a folder, for VOLUME.h5 in it; with --tables and --points a folder.")
  var output: String

  func validate() throws {
    try past.validate()
    if segments != nil && !forTraining && !points {
      throw ValidationError("--segments goes with --for-training and --points.")
    }
    let ways = [forTraining, tables, points].count { $0 }
    if ways > 1 { throw ValidationError("--for-training, --tables and --points do not go together.") }
    if forTraining && past.moment != nil { throw ValidationError("--for-training and --as-of-... do not go together.") }
    if final && (ways > 0 || past.moment != nil) {
      throw ValidationError("--final goes alone: the others write what is final, or say what is not.")
    }
  }

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    if tables || points {
      let chosen = try segments.map(SegmentList.read)
      let lines = try withRecord(configuration) { record in
        let export = try TableExport(record, volumeRow(record, name), folder: output, asOf: past.moment)
        return tables ? try export.writeTables() : [try export.writePoints(chosen)]
      }
      lines.forEach { print($0) }
      return
    }
    if let moment = past.moment {
      let line = try withRecord(configuration) {
        try PastExport(record: $0, volume: volumeRow($0, name), moment: moment, output: output).write()
      }
      print(line)
      return
    }
    try withSegmentedVolume(configuration, name) { segmented in
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
