import Domain

/// A segmentation and the truth, section by section: one pass for the scores, further passes for what the scores point at.
struct Evaluation {
  let found: ScoredSections
  let truth: TruthSections
  /// Labels of the truth that are not scored, besides the border mask.
  let ignored: Set<UInt64>

  /// Scores of a section, alone and of the stack up to it.
  struct CurvePoint {
    var z: SectionNumber
    var section: GrowingScores.Scores
    var stack: GrowingScores.Scores
  }

  /// Everything that is not scored: masked pixels are not, whatever label 0 is.
  var ignoring: Set<UInt64> { truth.mask == nil ? ignored : ignored.union([BorderMask.background]) }

  /// Numbers of the sections that both have, ascending.
  var common: [SectionNumber] {
    found.numbers.filter { (0..<truth.source.count).contains(Int($0) - Int(truth.firstZ)) }
  }

  /// Both sides of every common section as they are scored, in ascending order.
  func forEachSection(_ body: (SectionNumber, _ truth: Plane<UInt64>, _ found: Plane<UInt64>) throws -> Void) throws {
    for z in common {
      guard let plane = try truth.scored(z) else { continue }
      let segments = try found.segments(z)
      guard plane.height == segments.height, plane.width == segments.width else {
        throw OperatorError(
          "\(truth.name) has planes of \(plane.height) x \(plane.width), \(found.name) of "
            + "\(segments.height) x \(segments.width)", status: .badData)
      }
      try body(z, plane, segments)
    }
  }

  /// The table of all pixels, and the scores on the way.
  func scores() throws -> (table: Contingency, curve: [CurvePoint]) {
    var scores = GrowingScores(ignoring: ignoring)
    var curve: [CurvePoint] = []
    try forEachSection { z, truth, found in
      var section = Contingency()
      section.addSection(truth: truth, found: found)
      let (alone, stack) = scores.add(section)
      curve.append(CurvePoint(z: z, section: alone, stack: stack))
    }
    return (scores.table, curve)
  }
}
