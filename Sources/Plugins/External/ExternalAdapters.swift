import Domain

/// An `image -> image` stage from outside.
struct ExternalDenoise: ImageStage, SupervisedStage {
  let name: String
  let fingerprint: String
  let runner: any ExternalRunner

  var halo: Int { runner.reach.haloPixels }

  func filter(_ image: inout Plane<Float>) throws(StageError) {
    if image.storage.isEmpty { return }
    guard case .image(let values) = try runner.answer(.denoise(image)) else {
      preconditionFailure("\(name) answered as another kind")
    }
    try blaming(name) { () throws(CommandFault) in
      try ExternalChecks.fractions(values, width: image.width, of: "image")
    }
    image = Plane(height: image.height, width: image.width, storage: values)
  }

  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) { runner.whileWaiting(goesOn) }
  func cancel() { runner.cancel() }
}

/// An `affinities -> fragments` stage from outside.
struct ExternalWatershed: WatershedStage, SupervisedStage {
  let name: String
  let fingerprint: String
  let runner: any ExternalRunner

  /// It is always given the whole section.
  var halo: Int { 1 << 20 }

  func fragments(of affinities: AffinitySection) throws(StageError) -> FragmentSection {
    let (height, width) = (affinities.height, affinities.width)
    if height * width == 0 {
      return FragmentSection(labels: Plane(height: height, width: width, repeating: 0), count: 0)
    }
    guard case .labels(let labels) = try runner.answer(.watershed(affinities)) else {
      preconditionFailure("\(name) answered as another kind")
    }
    return try blaming(name) { () throws(CommandFault) in
      try ExternalChecks.renumbered(labels, height: height, width: width)
    }
  }

  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) { runner.whileWaiting(goesOn) }
  func cancel() { runner.cancel() }
}

/// A `fragments + affinities -> merges` stage from outside.
struct ExternalAgglomerate: AgglomerateStage, SupervisedStage {
  let name: String
  let fingerprint: String
  let runner: any ExternalRunner

  // The edges of a section lead to the section below.
  var lookBehind: Int { max(1, runner.reach.lookBehind) }
  var lookAhead: Int { runner.reach.lookAhead }

  func decide(_ decided: Range<Int>, in window: [SectionGraph]) throws(StageError) -> [[EdgeDecision]] {
    let flat = FlatWindow(window, decided: decided)
    if flat.decisions.allSatisfy({ $0 == 0 }) { return decided.map { _ in [] } }
    guard case .decisions(let accepted, let scores) = try runner.answer(.agglomerate(flat)) else {
      preconditionFailure("\(name) answered as another kind")
    }
    let all = try blaming(name) { () throws(CommandFault) in try ExternalChecks.decisions(accepted, scores) }
    var start = 0
    return flat.decisions.map { count in
      defer { start += count }
      return Array(all[start..<start + count])
    }
  }

  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) { runner.whileWaiting(goesOn) }
  func cancel() { runner.cancel() }
}

/// Says which stage it was.
func blaming<T>(_ stage: String, _ body: () throws(CommandFault) -> T) throws(StageError) -> T {
  do throws(CommandFault) { return try body() } catch { throw StageError(stage: stage, reason: error.reason) }
}
