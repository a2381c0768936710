import ArgumentParser
import Domain
import Foundation
import Volumes

/// What is compared with what.
struct EvaluationInputOptions: ParsableArguments {
  @Argument(help: "The true labels; may be left out with --skeletons.") var labels: String?
  @Option(help: "The labels' dataset, for HDF5.") var dataset: String?
  @Option(help: "The section number of the labels' first plane; without it, the segmentation's first section.")
  var firstZ: Int32?
  @Option(help: "Score this HDF5 file, TIFF stack or folder instead of the database's segments.")
  var segmentation: String?
  @Option(help: "Its dataset, for HDF5.") var segmentationDataset: String?
  @Option(help: "The section number of its first plane.") var segmentationFirstZ: Int32 = 0
  @Option(help: "Images that go with --segmentation, for --pictures: HDF5 (also FILE:DATASET), TIFF or a folder.")
  var image: String?
  @Option(help: "Voxel size in nm as Z,Y,X; without it, that of the volume or file.") var voxelNm: String?
  @Option(help: "Height and width of a pixel in nm, if only that is needed or differs.") var pixelNm: Double?

  func validate() throws {
    if let pixelNm, !(pixelNm > 0 && pixelNm.isFinite) { throw ValidationError("--pixel-nm must be above 0.") }
    if image != nil && segmentation == nil {
      throw ValidationError("--image goes with --segmentation; the database's segments have their images.")
    }
    _ = try voxelNm.map(Self.triple)
  }

  static func triple(_ text: String) throws -> (z: Double, y: Double, x: Double) {
    let values = text.split(separator: ",", omittingEmptySubsequences: false).compactMap { Double($0) }
    guard values.count == 3, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw ValidationError("--voxel-nm must be three numbers above 0, Z,Y,X, for example 30,6,6.")
    }
    return (values[0], values[1], values[2])
  }

  /// Nanometres, from the options or else from the first of `known` that knows.
  func voxelSize(_ known: [(z: Double, y: Double, x: Double)?]) throws -> (z: Double, y: Double, x: Double) {
    var size = try voxelNm.map(Self.triple) ?? known.compactMap { $0 }.first
    if let pixelNm, let given = size { size = (given.z, pixelNm, pixelNm) }
    guard let size else {
      throw OperatorError(
        "the voxel size is not known: no attribute `resolution` says it; give --voxel-nm Z,Y,X", status: .usage)
    }
    return size
  }

  /// Nanometres of a pixel: less than `voxelSize` needs.
  func pixelSize(_ known: [(z: Double, y: Double, x: Double)?]) throws -> (y: Double, x: Double) {
    if let pixelNm { return (pixelNm, pixelNm) }
    let size = try voxelSize(known)
    return (size.y, size.x)
  }
}

/// How it is scored.
struct EvaluationRuleOptions: ParsableArguments {
  @Option(help: "True labels that are not scored, separated by commas; `none` for all to be scored.")
  var ignore = "0"
  @Option(
    help: "CREMI's border mask: truth this many nm or less from a label boundary in its section is not scored (25).")
  var borderNm: Double?
  @Flag(help: "CREMI's adapted Rand error and CREMI's score as well.") var cremi = false

  func validate() throws {
    if let borderNm, !(0...1_000_000).contains(borderNm) {
      throw ValidationError("--border-nm must be 0 to 1000000.")
    }
    _ = try labels()
  }

  /// The labels of `--ignore`.
  func labels() throws -> Set<UInt64> {
    if ignore == "none" { return [] }
    let texts = ignore.split(separator: ",", omittingEmptySubsequences: false)
    let labels = texts.compactMap { UInt64($0) }
    guard labels.count == texts.count else {
      throw ValidationError("--ignore must be labels separated by commas, or `none`.")
    }
    return Set(labels)
  }
}

/// What is written besides the scores.
struct EvaluationOutputOptions: ParsableArguments {
  @Option(help: "Write scores of every section, and of the stack up to it, to this CSV file.") var curves: String?
  @Option(help: "List the N merges and the N splits that cost most.") var worst: Int?
  @Option(help: "Draw each of them as a PNG in this folder.") var pictures: String?
  @Option(help: "Expected run length on skeletons: an SWC or CSV file, or a folder of SWC files (nm).")
  var skeletons: String?
  @Option(help: "Nodes of a further skeleton that a segment may hold before it counts as merging.")
  var mergeTolerance = 0
  @Flag(help: "As JSON, with the scores of every section.") var json = false

  func validate() throws {
    if let worst, !(1...1000).contains(worst) { throw ValidationError("--worst must be 1 to 1000.") }
    if pictures != nil && worst == nil { throw ValidationError("--pictures goes with --worst N.") }
    if mergeTolerance < 0 { throw ValidationError("--merge-tolerance must be 0 or more.") }
  }
}
