import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// `fgnetd evaluate`: scores against labels.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Score a volume's segments against labels: variation of information and adapted Rand error.",
    discussion: """
      scikit-image's definitions: VOI in bits, split + merge; label 0 of the truth is ignored; label 0 of the segmentation \
      counts as a segment. Labels: a folder of PNG or TIFF planes, a multi-page TIFF, or an HDF5 file.
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Argument(help: "The labels.") var labels: String
  @Option(help: "The dataset, for HDF5.") var dataset: String?
  @Option(help: "The section number of the labels' first plane; without it, the volume's first section.") var firstZ:
    Int32?
  @Option(help: "Score this HDF5 or TIFF volume instead of the database's segments.") var segmentation: String?
  @Flag(help: "CREMI's adapted Rand error as well.") var cremi = false
  @Flag(help: "As JSON.") var json = false

  struct Scores: Codable {
    var voiSplit: Double
    var voiMerge: Double
    var voi: Double
    var adaptedRandError: Double
    var cremiAdaptedRandError: Double?
    var sections: Int
    var labelledPixels: Int
  }

  func run() throws {
    let truth = try LabelSource.open(labels, dataset: dataset)
    let table = try segmentation.map { try contingency(truth, file: $0) } ?? databaseContingency(truth)
    guard table.pixels.total > 0 else {
      throw OperatorError("\(labels) and the segmentation have no section in common; see --first-z", status: .badData)
    }
    let voi = table.pixels.variationOfInformation()
    let scores = Scores(
      voiSplit: voi.split, voiMerge: voi.merge, voi: voi.sum,
      adaptedRandError: table.pixels.adaptedRandError(),
      cremiAdaptedRandError: cremi ? table.pixels.adaptedRandError(.cremi) : nil,
      sections: table.sections, labelledPixels: table.pixels.total)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      print(String(decoding: try encoder.encode(scores), as: UTF8.self))
    } else {
      print("VOI \(text(scores.voi)) (split \(text(scores.voiSplit)), merge \(text(scores.voiMerge)))")
      print("adapted Rand error \(text(scores.adaptedRandError))")
      if let cremi = scores.cremiAdaptedRandError { print("adapted Rand error, CREMI's \(text(cremi))") }
      print("\(scores.sections) sections, label 0 ignored")
    }
  }

  private func text(_ value: Double) -> String { String(format: "%.4f", value) }

  private func check(_ truth: LabelSource, _ height: Int, _ width: Int) throws {
    guard truth.height == height, truth.width == width else {
      throw OperatorError(
        "\(labels) has planes of \(truth.height) x \(truth.width), the segmentation of \(height) x \(width)",
        status: .badData)
    }
  }

  private func contingency(_ truth: LabelSource, file: String) throws -> (pixels: Contingency, sections: Int) {
    let found = try LabelSource.open(file, dataset: nil)
    try check(truth, found.height, found.width)
    var table = Contingency()
    let count = min(truth.count, found.count)
    for index in 0..<count { table.add(truth: try truth.plane(index), found: try found.plane(index)) }
    return (table, count)
  }

  private func databaseContingency(_ truth: LabelSource) throws -> (pixels: Contingency, sections: Int) {
    let configuration = try config.load()
    return try withSegmentedVolume(configuration, volume.chosen(configuration)) { segmented in
      var table = Contingency()
      var count = 0
      guard let lowest = segmented.sections.first else {
        throw OperatorError("volume \(segmented.volume.name) has no segments yet", status: .noInput)
      }
      for section in segmented.sections {
        let index = Int(section.z - (firstZ ?? lowest.z))
        guard index >= 0, index < truth.count else { continue }
        let plane = try segmented.segments(section)
        try check(truth, plane.height, plane.width)
        table.add(truth: try truth.plane(index), found: plane)
        count += 1
      }
      return (table, count)
    }
  }
}
