import Domain
import Testing

@testable import Plugins

@Suite("Agglomeration")
struct AgglomeratorTests {
  static func options(_ variant: Int, threshold: Double = 0.5) -> AgglomeratorOptions {
    var options = AgglomeratorOptions()
    options.threshold = threshold
    options.quantile = 50
    switch variant {
    case 0:
      options.scoring = .mean
      options.initialiseWithMaximum = false
    case 1: options.initialiseWithMaximum = true
    case 2: options.initialiseWithMaximum = false
    case 3:
      options.initialiseWithMaximum = false
      options.quantile = 85
    case 4:
      options.scoring = .mean
      options.dustSize = 12
      options.dustThreshold = 0.3
    default:
      options.quantile = 100
      options.dustSize = 9
      options.dustThreshold = 0.1
    }
    return options
  }

  /// A small random stack; few affinity levels, so that scores tie often.
  static func stack(sections: Int, fragments: Int, edges: Int, seed: UInt64, levels: Int = 5) -> [SectionGraph] {
    var generator = SplitMix(seed: seed)
    return (0..<sections).map { section in
      let ids = (1...UInt32(fragments)).map { FragmentID(z: Int32(section), signature: 1, label: $0) }
      let areas = ids.map { _ in 1 + generator.below(10) }
      var pairs = Set<[FragmentID]>()
      for _ in 0..<edges {
        let between = section > 0 && generator.below(2) == 0
        let a = FragmentID(
          z: Int32(section - (between ? 1 : 0)), signature: 1, label: UInt32(1 + generator.below(fragments)))
        let b = ids[generator.below(fragments)]
        if a != b { pairs.insert([min(a, b), max(a, b)]) }
      }
      let sorted = pairs.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }
      return SectionGraph(
        z: Int32(section), fragments: ids, areas: areas,
        edges: sorted.map { pair in
          var counts: [UInt8: UInt32] = [:]
          for _ in 0...generator.below(4) {
            counts[UInt8(generator.below(levels) * 255 / (levels - 1)), default: 0] += UInt32(1 + generator.below(3))
          }
          let bins = counts.keys.sorted()
          return RegionEdge(
            a: pair[0], b: pair[1],
            histogram: AffinityHistogram(bins: bins, counts: bins.map { counts[$0] ?? 0 }))
        })
    }
  }

  @Test("equals its definition exactly", arguments: 0..<6, 1...8)
  func twin(_ variant: Int, _ seed: Int) throws {
    let levels = seed % 2 == 0 ? 5 : 200
    let stack = Self.stack(sections: 3, fragments: 12, edges: 30, seed: UInt64(seed), levels: levels)
    for threshold in [0.2, 0.5, 0.7] {
      let options = Self.options(variant, threshold: threshold)
      let expected = NaiveAgglomerator(options).decide(stack)
      let found = try Agglomerator(options).agglomerateAll(stack)
      #expect(found == expected, "variant \(variant), seed \(seed), threshold \(threshold)")
    }
  }

  @Test("a larger stack equals its definition too", arguments: [0, 1, 2])
  func largerTwin(_ variant: Int) throws {
    let stack = Self.stack(sections: 4, fragments: 40, edges: 120, seed: 42, levels: 256)
    let options = Self.options(variant, threshold: 0.4)
    let found = try Agglomerator(options).agglomerateAll(stack)
    #expect(found == NaiveAgglomerator(options).decide(stack))
    #expect(found.joined().contains { $0.accepted } && found.joined().contains { !$0.accepted })
  }

  @Test("an accepted edge is one whose ends are in one segment", arguments: 0..<6)
  func union(_ variant: Int) throws {
    let stack = Self.stack(sections: 4, fragments: 30, edges: 70, seed: 3, levels: 50)
    let decisions = try Agglomerator(Self.options(variant)).agglomerateAll(stack)
    let segments = SegmentUnion.segments(of: stack, decisions: decisions)
    var segment: [FragmentID: SegmentID] = [:]
    for (graph, segments) in zip(stack, segments) {
      for (id, own) in zip(graph.fragments, segments) { segment[id] = own }
    }
    for (graph, decisions) in zip(stack, decisions) {
      #expect(decisions.count == graph.edges.count)
      for (edge, decision) in zip(graph.edges, decisions) {
        #expect(decision.accepted == (segment[edge.a] == segment[edge.b]))
        #expect(decision.score >= 0 && decision.score <= 1)
      }
    }
    for (id, own) in segment {
      #expect(own.rawValue <= id.rawValue && segment[FragmentID(rawValue: own.rawValue)] == own)
    }
  }

  @Test("a lower threshold accepts all that a higher one does", arguments: 0..<4)
  func monotone(_ variant: Int) throws {
    let stack = Self.stack(sections: 4, fragments: 30, edges: 70, seed: 8, levels: 100)
    var previous: [[EdgeDecision]]?
    var counts: [Int] = []
    for threshold in stride(from: 0.95, through: 0.05, by: -0.1) {
      let decisions = try Agglomerator(Self.options(variant, threshold: threshold)).agglomerateAll(stack)
      counts.append(decisions.joined().count { $0.accepted })
      if let previous {
        for (higher, lower) in zip(previous.joined(), decisions.joined()) where higher.accepted {
          #expect(lower.accepted)
        }
      }
      previous = decisions
    }
    #expect(counts.first ?? 0 < counts.last ?? 0)
  }

  @Test("perfect affinities give the truth")
  func perfect() throws {
    let simulation = Simulation(depth: 6, side: 70, cells: 14, noise: 0, seed: 1)
    let (graphs, sections) = try simulation.graphs()
    var options = AgglomeratorOptions()
    options.initialiseWithMaximum = false
    let agglomerator = try Agglomerator(options)
    let joined = SegmentUnion.segments(of: graphs, decisions: try agglomerator.agglomerate(graphs))
    let fragments = graphs.map { $0.fragments.map { SegmentID(rawValue: $0.rawValue) } }
    #expect(variation(simulation, sections, joined).sum < 0.02)
    // Not because there was nothing to join.
    #expect(variation(simulation, sections, fragments).split > 1)
  }

  @Test("windowed decisions are as good as all at once, on noisy affinities", arguments: [1, 2] as [UInt64])
  func windowed(_ seed: UInt64) throws {
    let simulation = Simulation(depth: 30, side: 40, cells: 28, noise: 1.2, seed: seed)
    let (graphs, sections) = try simulation.graphs()
    var options = AgglomeratorOptions()
    options.initialiseWithMaximum = false
    let agglomerator = try Agglomerator(options)
    let all = SegmentUnion.segments(of: graphs, decisions: try agglomerator.agglomerateAll(graphs))
    let windowed = SegmentUnion.segments(of: graphs, decisions: try agglomerator.agglomerate(graphs))
    let whole = variation(simulation, sections, all)
    let parts = variation(simulation, sections, windowed)
    let nothing = graphs.map { $0.fragments.map { SegmentID(rawValue: $0.rawValue) } }
    #expect(parts.sum <= whole.sum + 0.02, "windowed \(parts), all at once \(whole)")
    #expect(whole.sum > 0 && whole.sum < variation(simulation, sections, nothing).sum / 2)
  }

  @Test("what lies beyond the window does not matter")
  func beyond() throws {
    var options = Self.options(2)
    options.lookBehind = 2
    options.lookAhead = 1
    options.agreementShift = 1
    let agglomerator = try Agglomerator(options)
    let stack = Self.stack(sections: 9, fragments: 20, edges: 50, seed: 5, levels: 100)
    let other = Self.stack(sections: 9, fragments: 20, edges: 50, seed: 6, levels: 100)
    let whole = try agglomerator.agglomerate(stack)
    // Section 4 sees 2...5. Everything else is of another stack; the edges of 2 to 1 too.
    var changed = other
    for index in 3...5 { changed[index] = stack[index] }
    changed[2] = SectionGraph(
      z: 2, fragments: stack[2].fragments, areas: stack[2].areas,
      edges: other[2].edges.filter { $0.a.z < 2 } + stack[2].edges.filter { $0.a.z == 2 })
    #expect(try agglomerator.agglomerate(changed)[4] == whole[4])
    #expect(try agglomerator.agglomerate(changed)[6] != whole[6])
    let alone = try agglomerator.decide(2..<3, in: Array(stack[2...5]))
    #expect(alone == [whole[4]])
    // A window may serve several sections.
    let two = try agglomerator.decide(1..<3, in: Array(stack[1...5]))
    #expect(two.count == 2)
    #expect(two.map(\.count) == [stack[2].edges.count, stack[3].edges.count])
  }

  @Test("an edge is accepted if all three windows accept it", arguments: [0, 2])
  func agreement(_ variant: Int) throws {
    var options = Self.options(variant, threshold: 0.4)
    options.lookBehind = 4
    options.lookAhead = 3
    options.agreementShift = 2
    let stack = Self.stack(sections: 12, fragments: 25, edges: 70, seed: 9, levels: 100)
    let agreed = try Agglomerator(options).agglomerate(stack)
    var windows: [[[EdgeDecision]]] = []
    for offset in 0...2 {
      // The window s - 4 + offset ... s + 1 + offset, by itself.
      var alone = options
      alone.agreementShift = 0
      alone.lookBehind = 4 - offset
      alone.lookAhead = 1 + offset
      windows.append(try Agglomerator(alone).agglomerate(stack))
    }
    var differing = 0
    for section in stack.indices {
      for edge in agreed[section].indices {
        let ones = windows.map { $0[section][edge] }
        let accepted = ones.allSatisfy(\.accepted)
        #expect(agreed[section][edge].accepted == accepted)
        #expect(agreed[section][edge].score == ones.filter { $0.accepted == accepted }.map(\.score).min())
        if Set(ones.map(\.accepted)).count == 2 { differing += 1 }
      }
    }
    #expect(differing > 0)
  }

  @Test(
    "what is kept of windows changes nothing: any order, graphs made again, a section that comes late", arguments: 1...4
  )
  func kept(_ seed: Int) throws {
    var options = Self.options(2, threshold: 0.4)
    options.lookBehind = 4
    options.lookAhead = 3
    options.agreementShift = 3
    let stack = Self.stack(sections: 14, fragments: 20, edges: 60, seed: UInt64(seed), levels: 100)
    // The same sections, but for one.
    var other = stack
    other[7] = Self.stack(sections: 14, fragments: 20, edges: 60, seed: UInt64(seed + 10), levels: 100)[7]
    let again = stack.map { SectionGraph(z: $0.z, fragments: $0.fragments, areas: $0.areas, edges: $0.edges) }
    func decide(_ agglomerator: Agglomerator, _ stack: [SectionGraph], _ index: Int, top: Int) throws -> [EdgeDecision]
    {
      let first = max(0, index - options.lookBehind)
      let window = Array(stack[first..<min(top, index + options.lookAhead + 1)])
      return try agglomerator.decide(index - first..<index - first + 1, in: window)[0]
    }
    let one = try Agglomerator(options)
    var generator = SplitMix(seed: UInt64(seed))
    // Mostly upwards, now and then somewhere else, and as the tail is shown: with nothing above.
    for step in 0..<200 {
      let index = generator.below(4) == 0 ? generator.below(stack.count) : step % stack.count
      let top = generator.below(4) == 0 ? index + 1 : stack.count
      let which = [stack, other, again][[0, 0, 0, 1, 2][generator.below(5)]]
      let fresh = try Agglomerator(options)
      #expect(
        try decide(one, which, index, top: top) == decide(fresh, which, index, top: top),
        "step \(step), section \(index)")
    }
  }

  @Test("sections given beyond the window are not looked at")
  func tooMuch() throws {
    var options = Self.options(2)
    options.lookBehind = 3
    options.lookAhead = 2
    let stack = Self.stack(sections: 12, fragments: 20, edges: 50, seed: 5, levels: 100)
    let agglomerator = try Agglomerator(options)
    let exact = try agglomerator.decide(3..<4, in: Array(stack[2...7]))
    #expect(try agglomerator.decide(5..<6, in: stack) == exact)
    #expect(try agglomerator.decide(5..<5, in: stack) == [])
  }

  @Test("a decided section at the bottom of its window still decides its edges down")
  func bottom() throws {
    var options = Self.options(0)
    options.lookBehind = 0
    options.lookAhead = 0
    let stack = Self.stack(sections: 3, fragments: 10, edges: 30, seed: 2)
    let decisions = try Agglomerator(options).agglomerate(stack)
    #expect(decisions.map(\.count) == stack.map(\.edges.count))
    #expect(zip(stack[1].edges, decisions[1]).contains { $0.a.z == 0 && $1.accepted })
  }

  @Test("nothing, one fragment, no edges")
  func small() throws {
    let agglomerator = try Agglomerator()
    #expect(try agglomerator.agglomerateAll([]) == [])
    let one = SectionGraph(z: 0, fragments: [FragmentID(z: 0, signature: 0, label: 1)], areas: [4], edges: [])
    #expect(try agglomerator.agglomerateAll([one]) == [[]])
    #expect(try agglomerator.agglomerateAll([SectionGraph(z: 0, fragments: [], areas: [], edges: [])]) == [[]])
  }

  @Test("malformed windows are refused")
  func refused() throws {
    let agglomerator = try Agglomerator()
    let stack = Self.stack(sections: 3, fragments: 10, edges: 30, seed: 2)
    #expect(throws: StageError.self) { try agglomerator.decide(0..<2, in: [stack[1], stack[0]]) }
    #expect(throws: StageError.self) { try agglomerator.decide(0..<4, in: stack) }
    #expect(throws: StageError.self) { try agglomerator.decide(0..<1, in: [stack[0], stack[2]]) }
    var unknown = stack
    unknown[2] = SectionGraph(
      z: 2, fragments: stack[2].fragments.dropLast(), areas: stack[2].areas.dropLast(), edges: stack[2].edges)
    #expect(throws: StageError.self) { try agglomerator.agglomerateAll(unknown) }
    var options = AgglomeratorOptions()
    options.threshold = 1.5
    #expect(throws: StageError.self) { try Agglomerator(options) }
  }
}

/// The definition, word for word: at each step every contact is put together and scored anew.
struct NaiveAgglomerator {
  var options: AgglomeratorOptions
  init(_ options: AgglomeratorOptions) { self.options = options }

  struct Contact {
    var edges: [RegionEdge]
    var members: [Int]
  }

  func score(_ edges: [RegionEdge]) -> Double {
    var counts = [Int](repeating: 0, count: 256)
    for edge in edges {
      if options.initialiseWithMaximum {
        if let largest = edge.histogram.bins.max() { counts[Int(largest)] += 1 }
      } else {
        for (bin, count) in zip(edge.histogram.bins, edge.histogram.counts) { counts[Int(bin)] += Int(count) }
      }
    }
    let total = counts.reduce(0, +)
    guard total > 0 else { return 0 }
    if options.scoring == .mean {
      return Double(counts.enumerated().reduce(0) { $0 + $1.offset * $1.element }) / (255 * Double(total))
    }
    let pivot = min(total, options.quantile * total / 100 + 1)
    var below = 0
    for bin in 0..<256 {
      below += counts[bin]
      if below >= pivot { return (Double(bin) + 0.5) / 256 }
    }
    return 0
  }

  func decide(_ stack: [SectionGraph]) -> [[EdgeDecision]] {
    let edges = stack.flatMap(\.edges)
    var cluster: [FragmentID: FragmentID] = [:]
    var area: [FragmentID: Int] = [:]
    for graph in stack {
      for (id, pixels) in zip(graph.fragments, graph.areas) {
        cluster[id] = id
        area[id] = pixels
      }
    }
    var decisions = edges.map { _ in EdgeDecision(accepted: false, score: 0) }
    while true {
      var contacts: [[FragmentID]: Contact] = [:]
      for (index, edge) in edges.enumerated() {
        guard let u = cluster[edge.a], let v = cluster[edge.b], u != v else { continue }
        contacts[[min(u, v), max(u, v)], default: Contact(edges: [], members: [])].edges.append(edge)
        contacts[[min(u, v), max(u, v)], default: Contact(edges: [], members: [])].members.append(index)
      }
      var best: (score: Double, first: [FragmentID], pair: [FragmentID], members: [Int])?
      for (pair, contact) in contacts {
        let score = score(contact.edges)
        for member in contact.members { decisions[member].score = Float(score) }
        let smaller = min(area[pair[0]] ?? 0, area[pair[1]] ?? 0)
        let dust = smaller < options.dustSize && score > options.dustThreshold
        guard score > options.threshold || dust else { continue }
        let first = contact.edges.map { [$0.a, $0.b] }.min { ($0[0], $0[1]) < ($1[0], $1[1]) } ?? pair
        let better = best.map {
          score > $0.score || (score == $0.score && (first[0], first[1]) < ($0.first[0], $0.first[1]))
        }
        if better ?? true { best = (score, first, pair, contact.members) }
      }
      guard let best else { break }
      for member in best.members { decisions[member].accepted = true }
      for (id, own) in cluster where own == best.pair[1] { cluster[id] = best.pair[0] }
      area[best.pair[0], default: 0] += area[best.pair[1]] ?? 0
    }
    var out: [[EdgeDecision]] = []
    var next = 0
    for graph in stack {
      out.append(Array(decisions[next..<next + graph.edges.count]))
      next += graph.edges.count
    }
    return out
  }
}
