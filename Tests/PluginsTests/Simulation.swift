import Domain

@testable import Plugins

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  /// 0 ..< 1.
  mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
  mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }
}

/// A stack of sections through Voronoi cells with membranes of two pixels, and affinities as a network would give them.
struct Simulation {
  /// 0 on membranes.
  var truth: [Plane<UInt32>] = []
  var affinities: [AffinitySection] = []

  /// - Parameter noise: 0: 255 within a cell, 0 across and on membranes. More: uniform noise of that width on 0.9 and 0.1.
  init(depth: Int, side: Int, cells: Int, noise: Double, seed: UInt64) {
    var generator = SplitMix(seed: seed)
    let sites = (0..<cells).map { _ in
      (z: generator.unit() * Double(depth), y: generator.unit() * Double(side), x: generator.unit() * Double(side))
    }
    for z in 0..<depth {
      var plane = Plane<UInt32>(height: side, width: side, repeating: 0)
      for y in 0..<side {
        for x in 0..<side {
          var best = Double.infinity
          for (index, site) in sites.enumerated() {
            let dz = 2 * (Double(z) - site.z)
            let dy = Double(y) - site.y
            let dx = Double(x) - site.x
            let distance = dz * dz + dy * dy + dx * dx
            if distance < best {
              best = distance
              plane[y, x] = UInt32(index + 1)
            }
          }
        }
      }
      truth.append(Self.interior(plane))
    }
    for z in 0..<depth { affinities.append(section(z, noise: noise, &generator)) }
  }

  private func section(_ z: Int, noise: Double, _ generator: inout SplitMix) -> AffinitySection {
    let plane = truth[z]
    let side = plane.height
    var channels = Array(repeating: Plane<UInt8>(height: side, width: side, repeating: 0), count: 3)
    for y in 0..<side {
      for x in 0..<side {
        let here = plane[y, x]
        let below: [UInt32?] = [
          z > 0 ? truth[z - 1][y, x] : nil, y > 0 ? plane[y - 1, x] : nil, x > 0 ? plane[y, x - 1] : nil,
        ]
        for (axis, other) in below.enumerated() {
          guard let other else { continue }
          var affinity = here == other && here != 0 ? 1.0 : 0.0
          if noise > 0 { affinity = 0.5 + (affinity - 0.5) * 0.8 + noise * (generator.unit() - 0.5) }
          channels[axis][y, x] = UInt8(min(max(affinity, 0), 1) * 255)
        }
      }
    }
    return AffinitySection(z: channels[0], y: channels[1], x: channels[2])
  }

  /// The plane where a pixel and its four neighbours agree, elsewhere 0.
  private static func interior(_ plane: Plane<UInt32>) -> Plane<UInt32> {
    var out = plane
    for y in 0..<plane.height {
      for x in 0..<plane.width {
        for (v, u) in [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        where v >= 0 && u >= 0 && v < plane.height && u < plane.width {
          if plane[v, u] != plane[y, x] { out[y, x] = 0 }
        }
      }
    }
    return out
  }

  /// Watershed and region graph of every section.
  func graphs(_ options: SeededWatershedOptions = SeededWatershedOptions()) throws -> (
    [SectionGraph], [FragmentSection]
  ) {
    let watershed = try SeededWatershed(options)
    var graphs: [SectionGraph] = []
    var sections: [FragmentSection] = []
    for (index, affinities) in affinities.enumerated() {
      let fragments = try watershed.fragments(of: affinities)
      let previous =
        index == 0 ? nil : PreviousSection(fragments: sections[index - 1], z: Int32(index - 1), signature: 7)
      graphs.append(
        try RegionGraphBuilder.graph(
          z: Int32(index), signature: 7, fragments: fragments, affinities: affinities, previous: previous
        ).graph)
      sections.append(fragments)
    }
    return (graphs, sections)
  }
}

/// Variation of information of segments against the truth, membranes left out.
func variation(
  _ simulation: Simulation, _ sections: [FragmentSection], _ segments: [[SegmentID]]
) -> VariationOfInformation {
  var contingency = Contingency()
  for ((truth, fragments), segments) in zip(zip(simulation.truth, sections), segments) {
    contingency.add(
      truth: truth.storage, found: fragments.labels.storage.map { $0 == 0 ? 0 : segments[Int($0) - 1].rawValue })
  }
  return contingency.variationOfInformation()
}
