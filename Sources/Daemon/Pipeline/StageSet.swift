import Domain
import Foundation
import Plugins

/// The stages of one volume, made from the configuration. A disabled stage is nil.
struct StageSet {
  var denoise: [any ImageStage]
  var affinity: (any AffinityStage)?
  var watershed: (any WatershedStage)?
  var agglomerate: (any AgglomerateStage)?
  var gapConfidence: Double
  /// Bytes the program may use for one volume.
  var memoryLimit = Int.max
  /// Sections of more pixels are read and written part by part: where labels and affinities are an eighth of the memory.
  var largePixels = Int.max
  /// Bytes of disk that the affinity stage may use beside the store.
  var scratchBytes = 0

  /// Those whose work is done by somebody else's code.
  var supervised: [any SupervisedStage] {
    let all: [Any?] = denoise + [affinity, watershed, agglomerate]
    return all.compactMap { $0 as? any SupervisedStage }
  }

  /// Sections on each side that the results of a section depend on, for the plan.
  var reach: VolumePlan.Reach {
    VolumePlan.Reach(
      context: affinity?.contextRadius ?? 0,
      behind: agglomerate?.lookBehind ?? 0,
      ahead: agglomerate?.lookAhead ?? 0)
  }

  /// Everything results depend on besides the sections.
  var fingerprint: String {
    let parts =
      denoise.map(\.fingerprint) + [
        affinity?.fingerprint ?? "no affinity", watershed?.fingerprint ?? "no watershed",
        agglomerate?.fingerprint ?? "no agglomerate", "gap \(gapConfidence)",
      ]
    return parts.joined(separator: "; ")
  }

  /// What fragments depend on: agglomeration does not change them.
  var fragmentFingerprint: String {
    (denoise.map(\.fingerprint) + [affinity?.fingerprint ?? "", watershed?.fingerprint ?? ""]).joined(separator: "; ")
  }

  /// Makes the image that the affinity stage sees, in its place.
  func filter(_ image: inout Plane<Float>) throws(StageError) {
    for stage in denoise { try stage.filter(&image) }
  }
}
