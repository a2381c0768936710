import ArgumentParser
import Domain
import Foundation
import Plugins
import Volumes

/// `fgnetd tune`: which options of watershed and agglomeration fit labels best.
struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Try options of watershed and agglomeration on stored affinities, and score each against labels.",
    discussion: """
      Takes a segmented volume's affinities from the store and changes nothing. Every combination of the values given \
      is tried, others as the configuration and the model have them; decisions are those of the daemon, section by \
      section, or with --at-once over the whole stack. Lines come best first; the last is the best one as \
      `fgnet-export --postprocessing` takes it. Tune on labels that the model was not trained on.
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Argument(help: "The labels: a folder of planes, a multi-page TIFF, or an HDF5 file.") var labels: String
  @Option(help: "The dataset, for HDF5.") var dataset: String?
  @Option(help: "The section number of the labels' first plane; without it, the volume's first section.")
  var firstZ: Int32?
  @Option(help: "Thresholds of the watershed, with commas.", transform: TuneCommand.numbers)
  var watershedThresholds: [Double]?
  @Option(help: "Thresholds of agglomeration, with commas.", transform: TuneCommand.numbers)
  var thresholds = stride(from: 2, through: 18, by: 1).map { Double($0) / 20 }
  @Option(help: "mean, quantile, or both with a comma.", transform: TuneCommand.scorings)
  var scorings: [AgglomeratorOptions.Scoring]?
  @Option(help: "Quantiles in per cent, with commas (for scoring quantile).", transform: TuneCommand.numbers)
  var quantiles: [Double]?
  @Option(
    help: "true, false, or both with a comma: whether an edge counts by its largest affinity only.",
    transform: TuneCommand.flags)
  var initWithMax: [Bool]?
  @Flag(help: "Decide over all sections at once, not section by section.") var atOnce = false
  @Flag(help: "One line of JSON for each combination, in place of the table.") var json = false

  static func numbers(_ text: String) throws -> [Double] {
    try text.split(separator: ",").map { part in
      guard let value = Double(part) else { throw ValidationError("\(part) is not a number.") }
      return value
    }
  }

  static func scorings(_ text: String) throws -> [AgglomeratorOptions.Scoring] {
    try text.split(separator: ",").map { part in
      guard let value = AgglomeratorOptions.Scoring(rawValue: String(part)) else {
        throw ValidationError("\(part) is neither mean nor quantile.")
      }
      return value
    }
  }

  static func flags(_ text: String) throws -> [Bool] {
    try text.split(separator: ",").map { part in
      guard let value = Bool(String(part)) else { throw ValidationError("\(part) is neither true nor false.") }
      return value
    }
  }

  /// One combination and how it scored.
  private struct Trial {
    var watershed: SeededWatershedOptions
    var agglomerate: AgglomeratorOptions
    var voi: VariationOfInformation
    var adaptedRandError: Double
  }

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    let sets = try StageMaker(configuration).make()
    guard let set = zip(configuration.volumes, sets).first(where: { $0.0.name == name })?.1,
      let watershed = set.watershed as? SeededWatershed, let agglomerate = set.agglomerate as? Agglomerator
    else {
      throw OperatorError(
        "only the stages seeded (watershed) and windowed (agglomerate) can be tuned; the configuration has others or none",
        status: .configuration)
    }
    let truth = try LabelSource.open(labels, dataset: dataset)
    var trials: [Trial] = []
    try withSegmentedVolume(configuration, name) { segmented in
      for options in watersheds(watershed.options) {
        let stack = try LabelledStack(
          segmented, truth: truth, firstZ: firstZ, watershed: SeededWatershed(options),
          gapConfidence: set.gapConfidence)
        for variant in agglomerations(agglomerate.options) {
          let table = try stack.contingency(Agglomerator(variant), atOnce: atOnce)
          trials.append(
            Trial(
              watershed: options, agglomerate: variant, voi: table.variationOfInformation(),
              adaptedRandError: table.adaptedRandError()))
        }
      }
    }
    report(trials.sorted { $0.voi.sum < $1.voi.sum })
  }

  private func watersheds(_ base: SeededWatershedOptions) -> [SeededWatershedOptions] {
    (watershedThresholds ?? [base.threshold]).map { threshold in
      var options = base
      options.threshold = threshold
      return options
    }
  }

  private func agglomerations(_ base: AgglomeratorOptions) -> [AgglomeratorOptions] {
    var out: [AgglomeratorOptions] = []
    for scoring in scorings ?? [base.scoring] {
      for maximum in initWithMax ?? [base.initialiseWithMaximum] {
        for quantile in scoring == .mean ? [base.quantile] : quantiles?.map({ Int($0) }) ?? [base.quantile] {
          for threshold in thresholds {
            var options = base
            options.scoring = scoring
            options.initialiseWithMaximum = maximum
            options.quantile = quantile
            options.threshold = threshold
            out.append(options)
          }
        }
      }
    }
    return out
  }

  private func report(_ trials: [Trial]) {
    if !json {
      print("   VOI  split  merge   ARE   watershed  scoring   of      threshold")
    }
    for trial in trials {
      let (w, a) = (trial.watershed, trial.agglomerate)
      if json {
        print(
          #"{"voi":\#(text(trial.voi.sum)),"voi_split":\#(text(trial.voi.split)),"voi_merge":\#(text(trial.voi.merge)),"#
            + #""adapted_rand_error":\#(text(trial.adaptedRandError)),"options":\#(document(trial))}"#)
      } else {
        let scoring = a.scoring == .mean ? "mean" : "quantile \(a.quantile)"
        let of = a.initialiseWithMaximum ? "maxima" : "all"
        print(
          [
            text(trial.voi.sum), text(trial.voi.split), text(trial.voi.merge), text(trial.adaptedRandError),
            padded("\(w.threshold)", 9), padded(scoring, 11), padded(of, 6), "\(a.threshold)",
          ].joined(separator: " "))
      }
    }
    if !json, let best = trials.first { print(document(best)) }
  }

  private func text(_ value: Double) -> String { String(format: "%.4f", value) }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// The options in the form of a weights file's `postprocessing`.
  private func document(_ trial: Trial) -> String {
    #"{"watershed":\#(section(trial.watershed)),"agglomerate":\#(section(trial.agglomerate))}"#
  }

  private func section(_ options: some StageOptions) -> String {
    let pairs = zip(type(of: options).table, options.values).map { #""\#($0.name)":\#($1)"# }
    return #"{"name":"\#(type(of: options).stage)","# + pairs.joined(separator: ",") + "}"
  }
}
