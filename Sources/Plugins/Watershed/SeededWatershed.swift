import CKernels
public import Domain

/// Fragments of one section by seeded watershed of its y and x affinities, the field's usual way (PEA, CAD, LSD):
/// boundary = 1 - mean of the two affinities, foreground = boundary below a threshold, seeds = regional maxima of the
/// distance to what is not foreground, flood of the boundary from the seeds.
///
/// All of it is in integers (511 boundary levels, squared distances), and ties go to what came first in raster order, so
/// the result is the same everywhere. The flood gives the same labels as mahotas 1.4 `cwatershed` from the same seeds.
/// Every pixel gets a label: a section without a seed is one fragment. Only dropped small fragments leave 0.
///
/// A flood has no finite halo: what is given is taken as the whole section, and `halo` is 0.
public struct SeededWatershed: WatershedStage {
  public let options: SeededWatershedOptions

  /// - Throws: a sentence, if an option is out of its range.
  public init(_ options: SeededWatershedOptions = SeededWatershedOptions()) throws(StageError) {
    try options.validate()
    self.options = options
  }

  public var name: String { SeededWatershedOptions.stage }
  public var halo: Int { 0 }
  public var fingerprint: String { options.fingerprint }

  /// Levels at and above are not foreground: level / 510 < threshold is exactly level < limit.
  var limit: UInt16 { UInt16(min(510, (options.threshold * 510).rounded(.up))) }

  /// - Throws: if memory ran out, or there are more fragments than ids (8 388 607).
  public func fragments(of affinities: AffinitySection) throws(StageError) -> FragmentSection {
    let height = affinities.height
    let width = affinities.width
    var labels = Plane<UInt32>(height: height, width: width, repeating: 0)
    guard height > 0 && width > 0 else { return FragmentSection(labels: labels, count: 0) }
    let seeds = try placeSeeds(affinities, into: &labels)
    if seeds == 0 {
      labels.storage.withUnsafeMutableBufferPointer { $0.update(repeating: 1) }
      return FragmentSection(labels: labels, count: 1)
    }
    try flood(affinities, &labels)
    if options.minimumSize > 1 {
      let keepOne = options.smallFragments == .merge
      let status = labels.storage.withUnsafeMutableBufferPointer {
        post_remove_small($0.baseAddress, $0.count, seeds, UInt64(options.minimumSize), keepOne ? 1 : 0)
      }
      guard status == 0 else { throw StageError.memory(name, height: height, width: width) }
      if keepOne { try flood(affinities, &labels) }
    }
    let count = labels.storage.withUnsafeMutableBufferPointer { post_renumber($0.baseAddress, $0.count, seeds) }
    guard count >= 0 else { throw StageError.memory(name, height: height, width: width) }
    guard count <= Int64(FragmentID.maximumLabel) else {
      throw StageError(
        stage: name,
        reason: "\(count) fragments in one section, more than the \(FragmentID.maximumLabel) that can be numbered; "
          + "raise minimum_size or seed_distance.")
    }
    return FragmentSection(labels: labels, count: Int(count))
  }

  /// 510 - (y + x) at each pixel.
  func boundaryLevels(_ affinities: AffinitySection) -> Plane<UInt16> {
    var levels = Plane<UInt16>(height: affinities.height, width: affinities.width, repeating: 0)
    affinities.y.storage.withUnsafeBufferPointer { y in
      affinities.x.storage.withUnsafeBufferPointer { x in
        levels.storage.withUnsafeMutableBufferPointer { to in
          post_boundary_levels(y.baseAddress, x.baseAddress, to.baseAddress, affinities.height, affinities.width)
        }
      }
    }
    return levels
  }

  /// Squared Euclidean distance of each pixel to the nearest one that is not foreground.
  func squaredDistance(_ levels: Plane<UInt16>) throws(StageError) -> Plane<Int32> {
    var distance = Plane<Int32>(height: levels.height, width: levels.width, repeating: 0)
    let status = levels.storage.withUnsafeBufferPointer { from in
      distance.storage.withUnsafeMutableBufferPointer { to in
        post_distance(from.baseAddress, limit, to.baseAddress, levels.height, levels.width)
      }
    }
    guard status == 0 else { throw StageError.memory(name, height: levels.height, width: levels.width) }
    return distance
  }

  /// Writes 1...count into the seeds' pixels, 0 elsewhere. Row by row where seeds have a distance, so that no plane is
  /// needed beside the labels; regional maxima need to see whole plateaus.
  /// - Returns: the number of seeds.
  func placeSeeds(_ affinities: AffinitySection, into labels: inout Plane<UInt32>) throws(StageError) -> UInt32 {
    if options.seedDistance == 0 { return try placeSeeds(boundaryLevels(affinities), into: &labels) }
    let (height, width, options, limit) = (labels.height, labels.width, options, limit)
    var count: UInt32 = 0
    let status = withPlanes(affinities, &labels) { y, x, labels in
      post_seeds_by_rows(
        y, x, limit, options.seedSmoothing, Int32(options.seedDistance), labels, &count, height, width)
    }
    guard status == 0 else { throw StageError.memory(name, height: height, width: width) }
    return count
  }

  /// The same from levels, plane by plane.
  /// - Returns: the number of seeds.
  func placeSeeds(_ levels: Plane<UInt16>, into labels: inout Plane<UInt32>) throws(StageError) -> UInt32 {
    let height = levels.height
    let width = levels.width
    let distance = try squaredDistance(levels)
    var surface = distance
    var status: Int32 = 0
    if options.seedSmoothing > 0 {
      status = distance.storage.withUnsafeBufferPointer { from in
        surface.storage.withUnsafeMutableBufferPointer { to in
          post_smooth(from.baseAddress, to.baseAddress, height, width, options.seedSmoothing)
        }
      }
    }
    var count: UInt32 = 0
    if status == 0 {
      let radius = Int32(options.seedDistance)
      status = surface.storage.withUnsafeBufferPointer { surface in
        distance.storage.withUnsafeBufferPointer { distance in
          labels.storage.withUnsafeMutableBufferPointer { to in
            post_seeds(surface.baseAddress, distance.baseAddress, radius, to.baseAddress, &count, height, width)
          }
        }
      }
    }
    guard status == 0 else { throw StageError.memory(name, height: height, width: width) }
    return count
  }

  /// Gives every pixel of label 0 the label that reaches it first.
  func flood(_ affinities: AffinitySection, _ labels: inout Plane<UInt32>) throws(StageError) {
    let (height, width) = (labels.height, labels.width)
    let status = withPlanes(affinities, &labels) { y, x, labels in post_flood(y, x, labels, height, width) }
    guard status == 0 else { throw StageError.memory(name, height: height, width: width) }
  }

  private func withPlanes(
    _ affinities: AffinitySection, _ labels: inout Plane<UInt32>,
    _ body: (UnsafePointer<UInt8>?, UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt32>?) -> Int32
  ) -> Int32 {
    affinities.y.storage.withUnsafeBufferPointer { y in
      affinities.x.storage.withUnsafeBufferPointer { x in
        labels.storage.withUnsafeMutableBufferPointer { body(y.baseAddress, x.baseAddress, $0.baseAddress) }
      }
    }
  }
}
