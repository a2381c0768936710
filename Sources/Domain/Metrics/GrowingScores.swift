import Glibc

/// Scores of a section alone, and of the stack up to it, as sections are added: where in a stack the errors come in.
///
/// The stack's sums are kept up to date, so a section costs no more at the end of a stack than at its beginning. They are
/// scikit-image's definitions and agree with those of `table` to rounding.
public struct GrowingScores: Sendable {
  /// VOI and adapted Rand error of some pixels.
  public struct Scores: Sendable, Equatable {
    public var voi: VariationOfInformation
    public var adaptedRandError: Double
    /// Pixels scored, those with an ignored true label not among them.
    public var pixels: Int
  }

  /// Everything added so far.
  public private(set) var table = Contingency()
  private let ignoring: Set<UInt64>
  private var truth: [UInt64: Int] = [:]
  private var found: [UInt64: Int] = [:]
  private var pixels = 0
  private var pairSums = Sums()
  private var truthSums = Sums()
  private var foundSums = Sums()

  public init(ignoring: Set<UInt64> = [0]) { self.ignoring = ignoring }

  /// Adds a section's table.
  /// - Returns: the scores of the section alone, and of all sections added so far.
  public mutating func add(_ section: Contingency) -> (section: Scores, stack: Scores) {
    // In the order of the labels: floating-point sums depend on the order, a dictionary's changes from run to run.
    for (pair, count) in section.kept(ignoring: ignoring) {
      pairSums.grow(by: count, from: table.counts[pair] ?? 0)
      truthSums.grow(by: count, from: truth[pair.truth] ?? 0)
      foundSums.grow(by: count, from: found[pair.found] ?? 0)
      truth[pair.truth, default: 0] += count
      found[pair.found, default: 0] += count
      pixels += count
    }
    table.add(section)
    let alone = Scores(
      voi: section.variationOfInformation(ignoring: ignoring),
      adaptedRandError: section.adaptedRandError(ignoring: ignoring), pixels: section.scoredPixels(ignoring: ignoring))
    return (alone, stack)
  }

  private var stack: Scores {
    guard pixels > 0 else {
      return Scores(voi: VariationOfInformation(split: 0, merge: 0), adaptedRandError: 0, pixels: 0)
    }
    let n = Double(pixels)
    let voi = VariationOfInformation(
      split: max(0, (truthSums.logarithms - pairSums.logarithms) / n),
      merge: max(0, (foundSums.logarithms - pairSums.logarithms) / n))
    let mean = (truthSums.squares - n + foundSums.squares - n) / 2
    return Scores(voi: voi, adaptedRandError: mean == 0 ? 0 : 1 - (pairSums.squares - n) / mean, pixels: pixels)
  }

  /// Sums over counts n of n log2 n and of n squared.
  private struct Sums: Sendable {
    var logarithms = 0.0
    var squares = 0.0

    mutating func grow(by count: Int, from old: Int) {
      let before = Double(old)
      let after = Double(old + count)
      logarithms += after * log2(after) - (old == 0 ? 0 : before * log2(before))
      squares += Double(count) * (before + after)
    }
  }
}
