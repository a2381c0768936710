package import Domain

/// The steps of the watershed one by one, for benchmarks.
extension SeededWatershed {
  /// 1, 2, ... in the seeds' pixels, 0 elsewhere.
  package func seeds(of affinities: AffinitySection) throws(StageError) -> Plane<UInt32> {
    var labels = Plane<UInt32>(height: affinities.height, width: affinities.width, repeating: 0)
    _ = try placeSeeds(affinities, into: &labels)
    return labels
  }

  /// For each pixel, the label of `seeds` that reaches it first.
  package func flooded(_ affinities: AffinitySection, from seeds: Plane<UInt32>) throws(StageError) -> Plane<UInt32> {
    var labels = seeds
    try flood(affinities, &labels)
    return labels
  }
}
