import Glibc

/// Variation of information between a segmentation and the truth, in bits.
public struct VariationOfInformation: Sendable, Equatable {
  /// H(found | truth): what splitting true segments costs.
  public var split: Double
  /// H(truth | found): what merging them costs.
  public var merge: Double
  public var sum: Double { split + merge }

  public init(split: Double, merge: Double) {
    self.split = split
    self.merge = merge
  }
}

extension Contingency {
  /// As scikit-image 0.26 and the CREMI script have it: pixels whose true label is ignored are left out, a found label 0
  /// is a segment like any other, logarithms are of base 2. Nothing kept gives 0.
  public func variationOfInformation(ignoring: Set<UInt64> = [0]) -> VariationOfInformation {
    let margins = Margins(kept(ignoring: ignoring))
    let n = Double(margins.total)
    var split = 0.0
    var merge = 0.0
    for (pair, count) in margins.pairs {
      let joint = Double(count)
      guard let truth = margins.truth[pair.truth], let found = margins.found[pair.found] else { continue }
      split -= joint / n * log2(joint / Double(truth))
      merge -= joint / n * log2(joint / Double(found))
    }
    // -0 when every term is 0.
    return VariationOfInformation(split: max(0, split), merge: max(0, merge))
  }
}
