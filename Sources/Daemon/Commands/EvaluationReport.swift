import Domain
import Foundation

/// What `fgnetd evaluate` says. The names of its fields are those of the JSON.
struct EvaluationReport: Encodable {
  struct Curve: Encodable {
    var z: SectionNumber
    var sectionVoiSplit: Double
    var sectionVoiMerge: Double
    var sectionAdaptedRandError: Double
    var sectionScoredPixels: Int
    var stackVoiSplit: Double
    var stackVoiMerge: Double
    var stackAdaptedRandError: Double
  }

  struct BorderMaskUsed: Encodable {
    var nm: Double
    var pixelYNm: Double
    var pixelXNm: Double
  }

  struct RunLength: Encodable {
    var expectedNm: Double
    var perfectNm: Double
    var normalised: Double
    var totalNm: Double
    var correctNm: Double
    var correctEdges: Int
    var splitEdges: Int
    var mergedEdges: Int
    var omittedEdges: Int
    var mergingSegments: [UInt64]
    var mergeTolerance: Int
    var outsideNodes: Int
    var outsideEdges: Int

    init(_ run: ExpectedRunLength, tolerance: Int) {
      (expectedNm, perfectNm, normalised) = (run.expected, run.perfect, run.normalised)
      (totalNm, correctNm) = (run.totalLength, run.correctLength)
      (correctEdges, splitEdges, mergedEdges) = (run.correctEdges, run.splitEdges, run.mergedEdges)
      (omittedEdges, mergingSegments, mergeTolerance) = (run.omittedEdges, run.mergingSegments, tolerance)
      (outsideNodes, outsideEdges) = (run.outsideNodes, run.outsideEdges)
    }
  }

  var voiSplit: Double?
  var voiMerge: Double?
  var voi: Double?
  var adaptedRandError: Double?
  var cremiAdaptedRandError: Double?
  var cremiScore: Double?
  var sections: Int?
  var firstZ: SectionNumber?
  var lastZ: SectionNumber?
  /// All pixels of the common sections, and those of them that were scored.
  var labelledPixels: Int?
  var scoredPixels: Int?
  /// True labels that were not scored, ascending.
  var ignoredLabels: [UInt64]?
  /// nil without a mask.
  var borderMask: BorderMaskUsed?
  var curves: [Curve]?
  var worst: [WorstErrors.Listed]?
  var runLength: RunLength?

  mutating func take(_ table: Contingency, _ curve: [Evaluation.CurvePoint], _ evaluation: Evaluation, cremi: Bool) {
    let ignoring = evaluation.ignoring
    let score = table.variationOfInformation(ignoring: ignoring)
    (voiSplit, voiMerge, voi) = (score.split, score.merge, score.sum)
    adaptedRandError = table.adaptedRandError(ignoring: ignoring)
    if cremi {
      cremiAdaptedRandError = table.adaptedRandError(.cremi, ignoring: ignoring)
      cremiScore = table.cremiScore(ignoring: ignoring)
    }
    sections = curve.count
    (firstZ, lastZ) = (curve.first?.z, curve.last?.z)
    labelledPixels = table.total
    scoredPixels = table.scoredPixels(ignoring: ignoring)
    ignoredLabels = evaluation.ignored.sorted()
    borderMask = evaluation.truth.mask.map { BorderMaskUsed(nm: $0.distance, pixelYNm: $0.pixelY, pixelXNm: $0.pixelX) }
    curves = curve.map {
      Curve(
        z: $0.z, sectionVoiSplit: $0.section.voi.split, sectionVoiMerge: $0.section.voi.merge,
        sectionAdaptedRandError: $0.section.adaptedRandError, sectionScoredPixels: $0.section.pixels,
        stackVoiSplit: $0.stack.voi.split, stackVoiMerge: $0.stack.voi.merge,
        stackAdaptedRandError: $0.stack.adaptedRandError)
    }
  }

  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// The curves as a table.
  static func csv(_ curve: [Evaluation.CurvePoint]) -> String {
    var lines = [
      "z,section_voi_split,section_voi_merge,section_adapted_rand_error,section_scored_pixels,stack_voi_split,"
        + "stack_voi_merge,stack_adapted_rand_error"
    ]
    for point in curve {
      let (own, stack) = (point.section, point.stack)
      let numbers = [own.voi.split, own.voi.merge, own.adaptedRandError].map(exact).joined(separator: ",")
      let stacked = [stack.voi.split, stack.voi.merge, stack.adaptedRandError].map(exact).joined(separator: ",")
      lines.append("\(point.z),\(numbers),\(own.pixels),\(stacked)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func exact(_ value: Double) -> String { String(format: "%.9f", value) }
}

// MARK: For people

extension EvaluationReport {
  /// Several lines.
  var text: String { (scoreLines + worstLines + runLengthLines).joined(separator: "\n") }

  private var scoreLines: [String] {
    guard let voi, let voiSplit, let voiMerge, let adaptedRandError else { return [] }
    var lines = [
      "VOI \(Self.four(voi)) (split \(Self.four(voiSplit)), merge \(Self.four(voiMerge)))",
      "adapted Rand error \(Self.four(adaptedRandError))",
    ]
    if let cremiAdaptedRandError, let cremiScore {
      lines.append(
        "CREMI's adapted Rand error \(Self.four(cremiAdaptedRandError)), CREMI's score \(Self.four(cremiScore))")
    }
    return lines + [rules]
  }

  /// The mask and the ignored labels: scores mean nothing without them.
  private var rules: String {
    let labels = (ignoredLabels ?? []).map(String.init).joined(separator: ", ")
    let ignored = labels.isEmpty ? "no true label ignored" : "true label \(labels) ignored"
    var mask = "no border mask"
    if let borderMask {
      let pixel = "\(Self.short(borderMask.pixelYNm)) x \(Self.short(borderMask.pixelXNm)) nm"
      mask = "border mask \(Self.short(borderMask.nm)) nm (pixels of \(pixel))"
    }
    return
      "\(sections ?? 0) sections (z \(firstZ ?? 0) to \(lastZ ?? 0)), \(scoredPixels ?? 0) of \(labelledPixels ?? 0) "
      + "pixels scored; \(ignored), \(mask)"
  }

  private var worstLines: [String] {
    guard let worst else { return [] }
    var lines: [String] = []
    for (kind, title, term) in [
      ("merge", "merges: found segments that hold several true objects", voiMerge),
      ("split", "splits: true objects cut into several found segments", voiSplit),
    ] {
      let errors = worst.filter { $0.kind == kind }
      let bits = errors.reduce(0) { $0 + $1.bits }
      lines += ["", "\(title); these are \(Self.four(bits)) of \(Self.four(term ?? 0)) bits"]
      for error in errors { lines += Self.lines(error) }
    }
    return lines
  }

  private static func lines(_ error: WorstErrors.Listed) -> [String] {
    let (whole, part) = error.kind == "merge" ? ("segment", "true") : ("true", "segment")
    let parts = error.parts.prefix(4).map { "\($0.label) (\($0.voxels))" }.joined(separator: ", ")
    let others = error.partCount > 4 ? ", and \(error.partCount - 4) more" : ""
    var lines = [
      String(format: "%3d  %.4f bits  ", error.number, error.bits) + "\(whole) \(error.label), \(error.voxels) voxels, "
        + "z \(error.firstZ) to \(error.lastZ)",
      "     \(part) \(parts)\(others)",
      "     look at z \(error.z), y \(error.y), x \(error.x): the two largest parts are "
        + "\(short(error.distanceNm)) nm apart"
        + (error.otherZ == error.z ? "" : ", the other one at z \(error.otherZ)"),
    ]
    if let picture = error.picture { lines.append("     \(picture)") }
    return lines
  }

  private var runLengthLines: [String] {
    guard let run = runLength else { return [] }
    var lines = scoreLines.isEmpty ? [] : [""]
    lines += [
      "expected run length \(Self.short(run.expectedNm)) nm of \(Self.short(run.perfectNm)) nm, normalised "
        + Self.four(run.normalised),
      "edges: \(run.correctEdges) correct, \(run.splitEdges) split, \(run.mergedEdges) merged, \(run.omittedEdges) omitted; "
        + "\(Self.short(run.correctNm)) of \(Self.short(run.totalNm)) nm correct",
      "\(run.mergingSegments.count) merging segments (more than \(run.mergeTolerance) nodes of more than one skeleton)"
        + (run.mergingSegments.isEmpty
          ? "" : ": " + run.mergingSegments.prefix(8).map(String.init).joined(separator: ", ")),
      "\(run.outsideNodes) nodes lie outside the sections, \(run.outsideEdges) edges were left out for it",
    ]
    return lines
  }

  static func four(_ value: Double) -> String { String(format: "%.4f", value) }
  /// At most one digit behind the point.
  static func short(_ value: Double) -> String {
    let tenths = (value * 10).rounded() / 10
    return tenths == tenths.rounded() ? String(format: "%.0f", tenths) : String(format: "%.1f", tenths)
  }
}
