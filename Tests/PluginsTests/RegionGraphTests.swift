import Domain
import Testing

@testable import Plugins

@Suite("Region graph")
struct RegionGraphTests {
  struct Pair: Hashable, Comparable {
    var a: FragmentID
    var b: FragmentID
    static func < (p: Self, q: Self) -> Bool { (p.a, p.b) < (q.a, q.b) }
  }

  static func section(_ height: Int, _ width: Int, labels: Int, seed: UInt64) -> (FragmentSection, AffinitySection) {
    var generator = SplitMix(seed: seed)
    func bytes(_ range: Int) -> Plane<UInt8> {
      Plane(
        height: height, width: width,
        storage: (0..<height * width).map { _ in UInt8(generator.below(range) * (255 / (range - 1))) })
    }
    let plane = Plane<UInt32>(
      height: height, width: width, storage: (0..<height * width).map { _ in UInt32(generator.below(labels + 1)) })
    return (
      FragmentSection(labels: plane, count: labels), AffinitySection(z: bytes(256), y: bytes(4), x: bytes(4))
    )
  }

  @Test("in bands as at once", arguments: [(1, 8), (8, 1), (13, 17), (64, 70)], [1, 2, 5, 13, 100])
  func bands(_ shape: (Int, Int), _ rows: Int) throws {
    let (fragments, affinities) = Self.section(shape.0, shape.1, labels: 9, seed: UInt64(rows))
    let (below, _) = Self.section(shape.0, shape.1, labels: 40, seed: 78)
    let whole = try RegionGraphBuilder.graph(
      z: 5, signature: 3, fragments: fragments, affinities: affinities,
      previous: PreviousSection(fragments: below, z: 4, signature: 9), gapConfidence: 0.7)
    func part<T>(_ plane: Plane<T>, _ rows: Range<Int>) -> [T] {
      Array(plane.storage[rows.lowerBound * plane.width..<rows.upperBound * plane.width])
    }
    let section = BandedSection(height: shape.0, width: shape.1, count: 9, rows: rows) {
      SectionBand(
        labels: part(fragments.labels, $0), z: part(affinities.z, $0), y: part(affinities.y, $0),
        x: part(affinities.x, $0))
    }
    let previous = BandedPrevious(z: 4, signature: 9, height: shape.0, width: shape.1, count: 40) {
      part(below.labels, $0)
    }
    let found = try RegionGraphBuilder.graph(
      z: 5, signature: 3, section: section, previous: previous, gapConfidence: 0.7)
    #expect(found.graph == whole.graph)
    #expect(found.summaries == whole.summaries)
  }

  @Test(
    "equals a dictionary",
    arguments: [(0, 0), (1, 1), (1, 8), (8, 1), (13, 17), (64, 70), (3, 1024), (2, 1025), (2, 2060)], [1, 5, 300])
  func twin(_ shape: (Int, Int), _ labels: Int) throws {
    let (fragments, affinities) = Self.section(shape.0, shape.1, labels: labels, seed: UInt64(labels))
    let (below, _) = Self.section(shape.0, shape.1, labels: labels + 20, seed: 77)
    var expected: [Pair: [UInt8: UInt32]] = [:]
    func id(_ z: Int32, _ label: UInt32) -> FragmentID { FragmentID(z: z, signature: 3, label: label) }
    for y in 0..<shape.0 {
      for x in 0..<shape.1 {
        let here = fragments.labels[y, x]
        guard here > 0 else { continue }
        func count(_ other: FragmentID, _ affinity: UInt8) {
          let own = id(5, here)
          guard other != own else { return }
          expected[Pair(a: min(own, other), b: max(own, other)), default: [:]][affinity, default: 0] += 1
        }
        if y > 0 && fragments.labels[y - 1, x] > 0 { count(id(5, fragments.labels[y - 1, x]), affinities.y[y, x]) }
        if x > 0 && fragments.labels[y, x - 1] > 0 { count(id(5, fragments.labels[y, x - 1]), affinities.x[y, x]) }
        if below.labels[y, x] > 0 {
          let halved = UInt8((Double(affinities.z[y, x]) * 0.5).rounded())
          count(FragmentID(z: 2, signature: 9, label: below.labels[y, x]), halved)
        }
      }
    }
    let (graph, summaries) = try RegionGraphBuilder.graph(
      z: 5, signature: 3, fragments: fragments, affinities: affinities,
      previous: PreviousSection(fragments: below, z: 2, signature: 9), gapConfidence: 0.5)
    #expect(graph.edges.map { Pair(a: $0.a, b: $0.b) } == expected.keys.sorted())
    for edge in graph.edges {
      let counts = expected[Pair(a: edge.a, b: edge.b)] ?? [:]
      #expect(Array(edge.histogram.bins) == counts.keys.sorted())
      #expect(Array(edge.histogram.counts) == counts.keys.sorted().map { counts[$0] ?? 0 })
    }
    #expect(graph.z == 5 && graph.fragments == (1...UInt32(labels)).map { id(5, $0) })
    #expect(graph.areas == summaries.map(\.area))
    expectSummaries(summaries, fragments)
  }

  /// Counts of 16 bits would overflow three times.
  @Test("a contact of more pixels than 16 bits can count")
  func large() throws {
    let (height, width) = (401, 512)
    let labels = FragmentSection(labels: Plane(height: height, width: width, repeating: 1), count: 1)
    let pixels = height * width
    let z = Plane<UInt8>(height: height, width: width, storage: (0..<pixels).map { $0 % 9 == 0 ? 7 : 255 })
    let found = try RegionGraphBuilder.graph(
      z: 5, signature: 3, fragments: labels, affinities: AffinitySection(z: z, y: z, x: z),
      previous: PreviousSection(fragments: labels, z: 4, signature: 9)
    ).graph.edges
    #expect(found.count == 1)
    let low = UInt32((pixels + 8) / 9)
    #expect(Array(found[0].histogram.bins) == [7, 255])
    #expect(Array(found[0].histogram.counts) == [low, UInt32(pixels) - low])
  }

  /// More pairs than are counted at a time, each of which comes again further below.
  @Test("more contacts than are counted at a time")
  func many() throws {
    let side = 220
    let labels = Plane<UInt32>(
      height: 2 * side, width: side, storage: (0..<2 * side * side).map { UInt32($0 % (side * side)) + 1 })
    let constant = Plane<UInt8>(height: 2 * side, width: side, repeating: 9)
    let found = try RegionGraphBuilder.graph(
      z: 5, signature: 3, fragments: FragmentSection(labels: labels, count: side * side),
      affinities: AffinitySection(z: constant, y: constant, x: constant),
      previous: PreviousSection(fragments: FragmentSection(labels: labels, count: side * side), z: 4, signature: 9)
    ).graph.edges
    // To the section below each pixel its own; within: along x, along y, and where the second half begins.
    let along = side * (side - 1)
    #expect(found.count == side * side + 2 * along + side)
    #expect(found.filter { $0.a.z == 4 }.allSatisfy { $0.a.label == $0.b.label && Array($0.histogram.counts) == [2] })
    for (lower, upper) in zip(found, found.dropFirst()) { #expect((lower.a, lower.b) < (upper.a, upper.b)) }
    #expect(found.filter { $0.a.z == 5 }.reduce(0) { $0 + $1.histogram.total } == 4 * along + side)
  }

  private func expectSummaries(_ summaries: [FragmentSummary], _ fragments: FragmentSection) {
    for summary in summaries {
      var ys: [Int] = []
      var xs: [Int] = []
      for y in 0..<fragments.labels.height {
        for x in 0..<fragments.labels.width where fragments.labels[y, x] == summary.label {
          ys.append(y)
          xs.append(x)
        }
      }
      #expect(summary.area == ys.count)
      guard let top = ys.min(), let bottom = ys.max(), let left = xs.min(), let right = xs.max() else { continue }
      #expect(Int(summary.minY) == top && Int(summary.maxY) == bottom + 1)
      #expect(Int(summary.minX) == left && Int(summary.maxX) == right + 1)
      #expect(abs(summary.centroidY - Double(ys.reduce(0, +)) / Double(ys.count)) < 1e-9)
      #expect(abs(summary.centroidX - Double(xs.reduce(0, +)) / Double(xs.count)) < 1e-9)
    }
  }

  @Test("the first section of a stack has no contacts below")
  func first() throws {
    let (fragments, affinities) = Self.section(9, 9, labels: 4, seed: 1)
    let graph = try RegionGraphBuilder.graph(
      z: -3, signature: 0, fragments: fragments, affinities: affinities, previous: nil
    ).graph
    #expect(graph.edges.allSatisfy { $0.a.z == -3 && $0.b.z == -3 && $0.a < $0.b })
    #expect(!graph.edges.isEmpty)
  }

  @Test("a gap lowers the affinities between sections, not within")
  func gap() throws {
    let (fragments, affinities) = Self.section(9, 9, labels: 4, seed: 1)
    let (below, _) = Self.section(9, 9, labels: 4, seed: 2)
    let previous = PreviousSection(fragments: below, z: 0, signature: 0)
    func graph(_ confidence: Double) throws -> SectionGraph {
      try RegionGraphBuilder.graph(
        z: 3, signature: 0, fragments: fragments, affinities: affinities, previous: previous,
        gapConfidence: confidence
      ).graph
    }
    let full = try graph(1)
    let half = try graph(0.5)
    for (one, other) in zip(full.edges, half.edges) {
      #expect(one.a == other.a && one.b == other.b && one.histogram.total == other.histogram.total)
      if one.a.z == 3 {
        #expect(one == other)
      } else {
        #expect(abs(other.histogram.mean - one.histogram.mean / 2) < 0.003)
      }
    }
  }

  @Test("what does not fit together is refused")
  func refused() throws {
    let (fragments, affinities) = Self.section(4, 4, labels: 3, seed: 1)
    let (other, _) = Self.section(4, 5, labels: 3, seed: 1)
    let wrongCount = FragmentSection(labels: Plane(height: 4, width: 4, repeating: 4), count: 3)
    func build(_ fragments: FragmentSection, _ previous: PreviousSection?, _ confidence: Double = 1) throws {
      _ = try RegionGraphBuilder.graph(
        z: 1, signature: 0, fragments: fragments, affinities: affinities, previous: previous,
        gapConfidence: confidence)
    }
    #expect(throws: StageError.self) { try build(other, nil) }
    #expect(throws: StageError.self) { try build(wrongCount, nil) }
    #expect(throws: StageError.self) {
      try build(fragments, PreviousSection(fragments: other, z: 0, signature: 0))
    }
    #expect(throws: StageError.self) {
      try build(fragments, PreviousSection(fragments: fragments, z: 1, signature: 0))
    }
    #expect(throws: StageError.self) {
      try build(fragments, PreviousSection(fragments: fragments, z: 0, signature: 0), 1.5)
    }
  }
}
