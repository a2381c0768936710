import Domain

/// Looks the nodes of skeletons up in a segmentation, one section at a time.
///
/// Voxel (z, y, x) covers z s...(z + 1) s and so on, s being the voxel's side; z counts from section 0, y and x from the
/// section's upper left corner.
struct SkeletonLookup {
  private struct Place {
    var skeleton: Int
    var node: Int
    var y: Double
    var x: Double
  }

  private var places: [SectionNumber: [Place]] = [:]
  private let counts: [Int]

  init(_ skeletons: [Skeleton], voxelSize: (z: Double, y: Double, x: Double)) {
    counts = skeletons.map(\.nodes.count)
    for (k, skeleton) in skeletons.enumerated() {
      for (n, node) in skeleton.nodes.enumerated() {
        guard let z = SectionNumber(exactly: (node.z / voxelSize.z).rounded(.down)) else { continue }
        let place = Place(
          skeleton: k, node: n, y: (node.y / voxelSize.y).rounded(.down), x: (node.x / voxelSize.x).rounded(.down))
        places[z, default: []].append(place)
      }
    }
  }

  /// The segment of each node of each skeleton; 0 where there is none, nil outside the sections.
  func segments(in found: ScoredSections) throws -> [[UInt64?]] {
    var result = counts.map { [UInt64?](repeating: nil, count: $0) }
    for z in found.numbers {
      guard let here = places[z] else { continue }
      let plane = try found.segments(z)
      for place in here where place.y >= 0 && place.x >= 0 {
        guard place.y < Double(plane.height), place.x < Double(plane.width) else { continue }
        result[place.skeleton][place.node] = plane[Int(place.y), Int(place.x)]
      }
    }
    return result
  }
}
