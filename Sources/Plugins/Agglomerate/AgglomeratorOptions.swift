/// Options of `Agglomerator`.
public struct AgglomeratorOptions: StageOptions {
  /// How the affinities between two clusters become a score.
  public enum Scoring: String, Sendable, CaseIterable {
    case mean, quantile
  }

  public var scoring = Scoring.quantile
  /// Per cent of the affinities, from the lowest, that lie below the score (scoring quantile).
  public var quantile = 75
  /// An edge counts by its largest affinity only (as waterz's quantiles do by default); else by all of them.
  public var initialiseWithMaximum = true
  /// Clusters are joined while their score is above.
  public var threshold = 0.55
  /// W: sections below the decided one that are looked at.
  public var lookBehind = 12
  /// L: sections above. With the network's 5, what is final lags 16 sections behind.
  public var lookAhead = 11
  /// Sections between the first and the last of three windows that must agree. 0: one window.
  public var agreementShift = 8
  /// Pixels (within the window); a cluster with fewer is joined down to `dustThreshold`. 0: no such rule.
  public var dustSize = 0
  public var dustThreshold = 0.3

  public init() {}

  public static let stage = "windowed"
  public static let version = 2
  public static let table = [
    OptionDescription(
      "scoring", .choice(Scoring.allCases.map(\.rawValue)), default: .string("quantile"),
      "How the affinities between two clusters become a score."),
    OptionDescription(
      "quantile", .int(0...100), default: .int(75),
      "Per cent; the score is the affinity that this share of the contact lies below. For scoring: quantile."),
    OptionDescription(
      "init_with_max", .bool, default: .bool(true),
      "An edge counts by its largest affinity only; else by all of them."),
    OptionDescription(
      "threshold", .double(0...1), default: .double(0.55),
      "Clusters are joined while their score is above. Lower joins more."),
    OptionDescription(
      "look_behind", .int(0...64), default: .int(12), "Sections below the decided one that a decision looks at."),
    OptionDescription(
      "look_ahead", .int(0...16), default: .int(11),
      "Sections above the decided one that a decision looks at; results are final this many sections later."),
    OptionDescription(
      "agreement_shift", .int(0...16), default: .int(8),
      "Sections between the first and the last of three windows that must agree on a decision. 0: one window."),
    OptionDescription(
      "dust_size", .int(0...1_000_000_000), default: .int(0),
      "Pixels within the window; clusters with fewer are joined down to dust_threshold. 0: none."),
    OptionDescription(
      "dust_threshold", .double(0...1), default: .double(0.3), "The threshold of clusters under dust_size."),
  ]

  public init(_ options: ResolvedOptions) {
    scoring = Scoring(rawValue: options.string("scoring")) ?? .quantile
    quantile = options.int("quantile")
    initialiseWithMaximum = options.bool("init_with_max")
    threshold = options.double("threshold")
    lookBehind = options.int("look_behind")
    lookAhead = options.int("look_ahead")
    agreementShift = options.int("agreement_shift")
    dustSize = options.int("dust_size")
    dustThreshold = options.double("dust_threshold")
  }

  public var values: [OptionValue] {
    [
      .string(scoring.rawValue), .int(quantile), .bool(initialiseWithMaximum), .double(threshold), .int(lookBehind),
      .int(lookAhead), .int(agreementShift), .int(dustSize), .double(dustThreshold),
    ]
  }
}
