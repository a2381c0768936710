import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// `fgnetd evaluate`: scores against labels or skeletons.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Score a volume's segments: variation of information, adapted Rand error, expected run length.",
    discussion: """
      scikit-image's definitions: VOI in bits, split + merge; label 0 of the truth is ignored; label 0 of the segmentation \
      counts as a segment. Labels: a folder of PNG or TIFF planes, a multi-page TIFF, or an HDF5 file (also FILE:DATASET). \
      docs/evaluation.md has every definition.

        fgnetd evaluate labels.tif
        fgnetd evaluate labels.h5:neurons --cremi --border-nm 25 --curves curves.csv
        fgnetd evaluate labels.tif --worst 10 --pictures errors
        fgnetd evaluate --skeletons traced-neurons
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @OptionGroup var input: EvaluationInputOptions
  @OptionGroup var rules: EvaluationRuleOptions
  @OptionGroup var output: EvaluationOutputOptions

  func validate() throws {
    guard input.labels != nil || output.skeletons != nil else {
      throw ValidationError("Name the true labels, or give --skeletons.")
    }
    if input.labels == nil, output.worst != nil || output.curves != nil || rules.cremi || rules.borderNm != nil {
      throw ValidationError("--worst, --curves, --cremi and --border-nm need the true labels.")
    }
  }

  func run() throws {
    let report = try report()
    print(output.json ? try report.json() : report.text)
  }

  /// Does everything but the printing.
  func report() throws -> EvaluationReport {
    try withFound { found in
      var report = EvaluationReport()
      // What can be refused is refused before the long part.
      let skeletons = try output.skeletons.map(SkeletonFile.read)
      if let folder = output.pictures { try prepare(folder) }
      if let labels = input.labels { try score(found, labels, &report) }
      if let skeletons { report.runLength = try runLength(found, skeletons) }
      return report
    }
  }

  private func withFound<T>(_ body: (ScoredSections) throws -> T) throws -> T {
    if let file = input.segmentation {
      let source = try LabelSource.open(file, dataset: input.segmentationDataset)
      let images = try input.image.map {
        let images = try LabelSource.open($0, usual: LabelSource.usualImageDatasets)
        guard images.height == source.height, images.width == source.width, images.count >= source.count else {
          throw OperatorError(
            "\($0) has \(images.count) planes of \(images.height) x \(images.width), the segmentation \(source.count) of "
              + "\(source.height) x \(source.width)", status: .badData)
        }
        return images
      }
      return try body(ScoredSections(source, name: file, images: images, firstZ: input.segmentationFirstZ))
    }
    let configuration = try config.load()
    return try withSegmentedVolume(configuration, volume.chosen(configuration)) { segmented in
      try body(ScoredSections(segmented))
    }
  }

  private func score(_ found: ScoredSections, _ labels: String, _ report: inout EvaluationReport) throws {
    let source = try LabelSource.open(labels, dataset: input.dataset)
    let known = [found.voxelSize, source.voxelSize]
    let mask = try rules.borderNm.map { BorderMask(distance: $0, pixel: try input.pixelSize(known)) }
    let size = output.worst == nil ? nil : try input.voxelSize(known)
    let truth = TruthSections(
      source: source, name: labels, firstZ: input.firstZ ?? found.numbers.first ?? 0, mask: mask)
    let evaluation = Evaluation(found: found, truth: truth, ignored: try rules.labels())
    let (table, curve) = try evaluation.scores()
    guard table.total > 0 else {
      throw OperatorError("\(labels) and \(found.name) have no section in common; see --first-z", status: .badData)
    }
    report.take(table, curve, evaluation, cremi: rules.cremi)
    if let file = output.curves { try write(EvaluationReport.csv(curve), to: file) }
    guard let count = output.worst, let size else { return }
    var worst = try WorstErrors(evaluation, table, count: count, voxelSize: size)
    if let folder = output.pictures { try worst.draw(evaluation, into: folder) }
    report.worst = worst.listed
  }

  private func runLength(_ found: ScoredSections, _ skeletons: [Skeleton]) throws -> EvaluationReport.RunLength {
    let lookup = SkeletonLookup(skeletons, voxelSize: try input.voxelSize([found.voxelSize]))
    let segments = try lookup.segments(in: found)
    let tolerance = output.mergeTolerance
    return EvaluationReport.RunLength(
      ExpectedRunLength(skeletons, segments: segments, tolerance: tolerance), tolerance: tolerance)
  }

  private func prepare(_ folder: String) throws {
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
      throw OperatorError("the folder \(folder) cannot be made; choose another", status: .cannotCreate)
    }
  }

  private func write(_ text: String, to file: String) throws {
    do { try text.write(toFile: file, atomically: true, encoding: .utf8) } catch {
      throw OperatorError("\(file) cannot be written; check its folder and permissions", status: .cannotCreate)
    }
  }
}
