/// Options of `SeededWatershed`.
public struct SeededWatershedOptions: StageOptions {
  /// What becomes of fragments under the minimum size.
  public enum SmallFragments: String, Sendable, CaseIterable {
    /// Their pixels are flooded again from the fragments around.
    case merge
    /// Their pixels get label 0.
    case drop
  }

  /// Pixels whose boundary value (1 - mean of the y and x affinities) is below are foreground.
  public var threshold = 0.5
  /// Pixels; 0: every regional maximum of the distance is a seed. More: only pixels that are the largest of the square
  /// of 2 seedDistance + 1 around them.
  public var seedDistance = 2
  /// Pixels; deviation of a Gaussian on the distance before seeds are looked for. 0: none.
  public var seedSmoothing = 0.0
  /// Pixels; 0 or 1: fragments of any size.
  public var minimumSize = 30
  public var smallFragments = SmallFragments.merge

  public init() {}

  public static let stage = "seeded"
  public static let version = 1
  public static let table = [
    OptionDescription(
      "threshold", .double(0.002...1), default: .double(0.5),
      "Boundary value (1 - mean of the y and x affinities) below which a pixel is inside a fragment."),
    OptionDescription(
      "seed_distance", .int(0...100), default: .int(2),
      "Pixels; seeds are the largest distances within this radius. 0: every regional maximum."),
    OptionDescription(
      "seed_smoothing", .double(0...20), default: .double(0),
      "Pixels; deviation of a Gaussian on the distance before seeds are looked for. 0: none."),
    OptionDescription(
      "minimum_size", .int(0...1_000_000), default: .int(30), "Pixels; smaller fragments are merged or dropped."),
    OptionDescription(
      "small_fragments", .choice(SmallFragments.allCases.map(\.rawValue)), default: .string("merge"),
      "What becomes of fragments under minimum_size: merge into the ones around, or drop (label 0)."),
  ]

  public init(_ options: ResolvedOptions) {
    threshold = options.double("threshold")
    seedDistance = options.int("seed_distance")
    seedSmoothing = options.double("seed_smoothing")
    minimumSize = options.int("minimum_size")
    smallFragments = SmallFragments(rawValue: options.string("small_fragments")) ?? .merge
  }

  public var values: [OptionValue] {
    [
      .double(threshold), .int(seedDistance), .double(seedSmoothing), .int(minimumSize),
      .string(smallFragments.rawValue),
    ]
  }
}
