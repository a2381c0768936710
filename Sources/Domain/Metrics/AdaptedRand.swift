/// Whose definition of the adapted Rand error.
public enum AdaptedRandDefinition: Sendable {
  /// scikit-image 0.26: pairs of distinct pixels; a found label 0 is a segment like any other.
  case scikitImage
  /// The CREMI script: squares of counts; pixels found as 0 count about as segments of one pixel each; the number of all
  /// pixels, ignored ones too, enters a small correction.
  case cremi
}

extension Contingency {
  /// 1 - the harmonic mean of precision and recall of pixel pairs: 0 is perfect, 1 is worst. Pixels whose true label is
  /// ignored are left out. With no pair of pixels to judge by, 0.
  public func adaptedRandError(
    _ definition: AdaptedRandDefinition = .scikitImage, ignoring: Set<UInt64> = [0]
  ) -> Double {
    let margins = Margins(kept(ignoring: ignoring))
    switch definition {
    case .scikitImage: return Self.scikitImage(margins)
    case .cremi: return Self.cremi(margins, total: total)
    }
  }

  /// CREMI's score: the geometric mean of its adapted Rand error and the variation of information, 0 is perfect.
  public func cremiScore(ignoring: Set<UInt64> = [0]) -> Double {
    (adaptedRandError(.cremi, ignoring: ignoring) * variationOfInformation(ignoring: ignoring).sum).squareRoot()
  }

  private static func squares(_ counts: some Sequence<Int>) -> Double {
    // Sums of whole numbers below 2^53 are exact in any order; above, sorting keeps them the same.
    counts.sorted().reduce(0) { $0 + Double($1) * Double($1) }
  }

  private static func scikitImage(_ margins: Margins) -> Double {
    let n = Double(margins.total)
    let both = squares(margins.pairs.lazy.map(\.count)) - n
    let truth = squares(margins.truth.values) - n
    let found = squares(margins.found.values) - n
    let mean = (truth + found) / 2
    return mean == 0 ? 0 : 1 - both / mean
  }

  private static func cremi(_ margins: Margins, total: Int) -> Double {
    guard total > 0 && margins.total > 0 else { return 0 }
    let correction = Double(margins.found[0] ?? 0) / Double(total)
    let both = squares(margins.pairs.lazy.filter { $0.pair.found != 0 }.map(\.count)) + correction
    let truth = squares(margins.truth.values)
    let found = squares(margins.found.lazy.filter { $0.key != 0 }.map(\.value)) + correction
    guard both > 0 else { return 1 }
    let precision = both / found
    let recall = both / truth
    return 1 - 2 * precision * recall / (precision + recall)
  }
}
