import Glibc

/// A merge or a split, with what it costs in bits of variation of information.
public struct CostlyError: Sendable, Equatable {
  public enum Kind: String, Sendable {
    /// A found segment that holds parts of several true objects.
    case merge
    /// A true object that is cut into several found segments.
    case split
  }

  /// What one label holds of one label of the other side.
  public struct Part: Sendable, Equatable {
    public var label: UInt64
    public var voxels: Int
    public init(label: UInt64, voxels: Int) {
      self.label = label
      self.voxels = voxels
    }
  }

  public var kind: Kind
  /// The found segment of a merge, the true object of a split.
  public var label: UInt64
  /// Scored voxels of it.
  public var voxels: Int
  /// Its share of the merge term, or of the split term. The shares of all labels add up to the term.
  public var bits: Double
  /// True objects in a merge, found segments in a split: the largest first, of equal ones the smaller label.
  public var parts: [Part]

  public init(kind: Kind, label: UInt64, voxels: Int, bits: Double, parts: [Part]) {
    self.kind = kind
    self.label = label
    self.voxels = voxels
    self.bits = bits
    self.parts = parts
  }
}

extension Contingency {
  /// The merges or the splits that cost most, the most expensive first, of equal ones the smaller label.
  ///
  /// With n_ij scored voxels of true object i in found segment j, b_j in segment j, a_i in object i and N in all, segment j
  /// contributes -1/N sum_i n_ij log2(n_ij / b_j) to the merge term, and object i contributes -1/N sum_j n_ij log2(n_ij / a_i)
  /// to the split term.
  public func costliest(_ kind: CostlyError.Kind, count: Int, ignoring: Set<UInt64> = [0]) -> [CostlyError] {
    var parts: [UInt64: [CostlyError.Part]] = [:]
    var scored = 0
    for (pair, voxels) in kept(ignoring: ignoring) {
      let (whole, part) = kind == .merge ? (pair.found, pair.truth) : (pair.truth, pair.found)
      parts[whole, default: []].append(CostlyError.Part(label: part, voxels: voxels))
      scored += voxels
    }
    let errors = parts.filter { $0.value.count > 1 }.map { label, parts in
      let voxels = parts.reduce(0) { $0 + $1.voxels }
      let bits = parts.reduce(0) { $0 - Double($1.voxels) * log2(Double($1.voxels) / Double(voxels)) }
      return CostlyError(kind: kind, label: label, voxels: voxels, bits: bits / Double(scored), parts: parts)
    }
    let worst = errors.sorted { ($1.bits, $0.label) < ($0.bits, $1.label) }.prefix(max(0, count))
    return worst.map { error in
      var ordered = error
      ordered.parts.sort { ($1.voxels, $0.label) < ($0.voxels, $1.label) }
      return ordered
    }
  }
}
