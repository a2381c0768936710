import Domain
import Testing

@testable import Plugins

@Suite("Seeded watershed")
struct WatershedTests {
  static let shapes = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5), (17, 13), (24, 33)]

  /// Smooth random affinities, so that there are basins and plateaus.
  static func affinities(_ height: Int, _ width: Int, seed: UInt64, levels: Int = 6) -> AffinitySection {
    var generator = SplitMix(seed: seed)
    let coarse = (0..<(height / 4 + 2) * (width / 4 + 2)).map { _ in generator.unit() }
    func plane() -> Plane<UInt8> {
      var out = Plane<UInt8>(height: height, width: width, repeating: 0)
      for y in 0..<height {
        for x in 0..<width {
          let value = coarse[(y / 4) * (width / 4 + 2) + x / 4] * 0.8 + 0.35 * generator.unit()
          out[y, x] = UInt8(min(255, Double(Int(value * Double(levels))) / Double(levels) * 255))
        }
      }
      return out
    }
    return AffinitySection(z: plane(), y: plane(), x: plane())
  }

  /// Every regional maximum is a seed, as in the naive twin.
  static func everyMaximum() throws -> SeededWatershed {
    var options = SeededWatershedOptions()
    options.seedDistance = 0
    options.minimumSize = 0
    return try SeededWatershed(options)
  }

  static func around(_ p: Int, _ height: Int, _ width: Int) -> [Int] {
    var out: [Int] = []
    if p >= width { out.append(p - width) }
    if p % width > 0 { out.append(p - 1) }
    if p % width + 1 < width { out.append(p + 1) }
    if p + width < height * width { out.append(p + width) }
    return out
  }

  @Test("boundary levels", arguments: shapes)
  func levels(_ shape: (Int, Int)) throws {
    let affinities = Self.affinities(shape.0, shape.1, seed: 3)
    let levels = try SeededWatershed().boundaryLevels(affinities)
    for y in 0..<shape.0 {
      for x in 0..<shape.1 where y > 0 || x > 0 {
        let vertical = Int(y > 0 ? affinities.y[y, x] : affinities.x[y, x])
        let horizontal = Int(x > 0 ? affinities.x[y, x] : affinities.y[y, x])
        #expect(Int(levels[y, x]) == 510 - vertical - horizontal, "at (\(y), \(x)) of \(shape)")
      }
    }
  }

  @Test("distances equal brute force", arguments: shapes, [1, 2, 3] as [UInt64])
  func distance(_ shape: (Int, Int), _ seed: UInt64) throws {
    var generator = SplitMix(seed: seed)
    let height = shape.0
    let width = shape.1
    let rare = seed == 1 ? 2 : 40
    let levels = Plane<UInt16>(
      height: height, width: width, storage: (0..<height * width).map { _ in generator.below(rare) == 0 ? 255 : 254 })
    let distance = try SeededWatershed().squaredDistance(levels)
    for y in 0..<height {
      for x in 0..<width {
        var best = Int32.max
        for v in 0..<height {
          for u in 0..<width where levels[v, u] >= 255 {
            best = min(best, Int32((v - y) * (v - y) + (u - x) * (u - x)))
          }
        }
        #expect(distance[y, x] == best, "at (\(y), \(x)) of \(shape)")
      }
    }
  }

  @Test("the threshold is exact at its level", arguments: [0.5, 0.25, 0.1, 0.9, 1.0])
  func threshold(_ threshold: Double) throws {
    var options = SeededWatershedOptions()
    options.threshold = threshold
    let limit = Int(try SeededWatershed(options).limit)
    for level in 0..<510 { #expect((level < limit) == (Double(level) / 510 < threshold), "level \(level)") }
  }

  /// Seeds by definition: connected sets of equal distance with nothing higher beside them.
  static func naiveSeeds(_ distance: Plane<Int32>) -> (labels: [UInt32], count: UInt32) {
    let height = distance.height
    let width = distance.width
    var labels = [UInt32](repeating: 0, count: height * width)
    var seen = Set<Int>()
    var count: UInt32 = 0
    for start in labels.indices where distance.storage[start] > 0 && !seen.contains(start) {
      var plateau: Set<Int> = [start]
      var stack = [start]
      var highest = true
      while let p = stack.popLast() {
        for q in around(p, height, width) {
          if distance.storage[q] > distance.storage[p] { highest = false }
          if distance.storage[q] == distance.storage[p] && plateau.insert(q).inserted { stack.append(q) }
        }
      }
      seen.formUnion(plateau)
      if highest {
        count += 1
        for p in plateau { labels[p] = count }
      }
    }
    return (labels, count)
  }

  /// The flood by definition: of all pixels reached, the one of lowest level and, of those, the first reached goes on.
  static func naiveFlood(_ levels: Plane<UInt16>, _ seeds: [UInt32]) -> [UInt32] {
    var labels = seeds
    var reached: [(level: UInt16, age: Int, place: Int)] = []
    var age = 0
    func reach(_ p: Int) {
      reached.append((levels.storage[p], age, p))
      age += 1
    }
    for p in seeds.indices where seeds[p] != 0 { reach(p) }
    while let next = reached.indices.min(by: {
      (reached[$0].level, reached[$0].age) < (reached[$1].level, reached[$1].age)
    }) {
      let p = reached.remove(at: next).place
      for q in around(p, levels.height, levels.width) where labels[q] == 0 {
        labels[q] = labels[p]
        reach(q)
      }
    }
    return labels
  }

  @Test("seeds and flood equal their definitions", arguments: shapes, [1, 2, 3, 4] as [UInt64])
  func twin(_ shape: (Int, Int), _ seed: UInt64) throws {
    let affinities = Self.affinities(shape.0, shape.1, seed: seed)
    let watershed = try Self.everyMaximum()
    let levels = watershed.boundaryLevels(affinities)
    let (seeds, count) = Self.naiveSeeds(try watershed.squaredDistance(levels))
    var placed = Plane<UInt32>(height: shape.0, width: shape.1, repeating: 0)
    #expect(try watershed.placeSeeds(levels, into: &placed) == count)
    #expect(placed.storage == seeds)
    let result = try watershed.fragments(of: affinities)
    guard count > 0 else {
      #expect(result.count == 1 && result.labels.storage.allSatisfy { $0 == 1 })
      return
    }
    var numbers: [UInt32: UInt32] = [:]
    let expected = Self.naiveFlood(levels, seeds).map { label in
      let number = numbers[label] ?? UInt32(numbers.count + 1)
      numbers[label] = number
      return number
    }
    #expect(result.labels.storage == expected)
    #expect(result.count == Int(count))
  }

  /// Pixels of each label 1...count.
  static func areas(_ section: FragmentSection) -> [Int] {
    var areas = [Int](repeating: 0, count: section.count)
    for label in section.labels.storage where label > 0 { areas[Int(label) - 1] += 1 }
    return areas
  }

  /// Labels are 1...count by first pixel, none left out, each connected.
  static func expectFragments(_ section: FragmentSection, complete: Bool = true) {
    let labels = section.labels
    var next: UInt32 = 1
    for label in labels.storage {
      #expect(label <= next && (label > 0 || !complete))
      if label == next { next += 1 }
    }
    #expect(Int(next) == section.count + 1)
    var seen = Set<Int>()
    var components = 0
    for start in labels.storage.indices where labels.storage[start] != 0 && seen.insert(start).inserted {
      components += 1
      var stack = [start]
      while let p = stack.popLast() {
        for q in around(p, labels.height, labels.width)
        where labels.storage[q] == labels.storage[p] && seen.insert(q).inserted {
          stack.append(q)
        }
      }
    }
    #expect(components == section.count)
  }

  @Test("a partition into connected fragments, whatever the options", arguments: 0..<6)
  func partition(_ variant: Int) throws {
    var options = SeededWatershedOptions()
    options.threshold = [0.5, 0.3, 0.7, 0.5, 0.5, 0.5][variant]
    options.seedDistance = [0, 0, 2, 3, 0, 0][variant]
    options.seedSmoothing = [0, 0, 0, 1, 2, 0][variant]
    options.minimumSize = [0, 0, 0, 10, 0, 30][variant]
    for (index, shape) in (Self.shapes + [(64, 61)]).enumerated() {
      let affinities = Self.affinities(shape.0, shape.1, seed: UInt64(index + 20), levels: 200)
      let result = try SeededWatershed(options).fragments(of: affinities)
      Self.expectFragments(result)
      #expect(try SeededWatershed(options).fragments(of: affinities) == result)
      if options.minimumSize > 1 && result.count > 1 {
        let smallest = Self.areas(result).min() ?? 0
        #expect(smallest >= options.minimumSize)
      }
    }
  }

  @Test("fewer seeds with distance or smoothing")
  func fewerSeeds() throws {
    let affinities = Self.affinities(90, 80, seed: 2, levels: 200)
    let plain = try Self.everyMaximum().fragments(of: affinities).count
    var apart = SeededWatershedOptions()
    apart.seedDistance = 4
    apart.minimumSize = 0
    var smooth = SeededWatershedOptions()
    smooth.seedDistance = 0
    smooth.minimumSize = 0
    smooth.seedSmoothing = 2
    let counts = try [apart, smooth].map { try SeededWatershed($0).fragments(of: affinities).count }
    #expect(plain > 20)
    #expect(counts[0] < plain && counts[1] < plain && counts[0] > 1 && counts[1] > 1)
  }

  /// Row by row as plane by plane, around every size of window.
  @Test("seeds row by row", arguments: shapes + [(64, 61), (40, 1), (1, 40), (3, 50)], [0.0, 0.7, 3.5])
  func seedsByRows(_ shape: (Int, Int), _ smoothing: Double) throws {
    for (index, distance) in [1, 2, 3, 7, 20, 63].enumerated() {
      var options = SeededWatershedOptions()
      options.seedDistance = distance
      options.seedSmoothing = smoothing
      let watershed = try SeededWatershed(options)
      for levels in [2, 7, 200] {
        let affinities = Self.affinities(shape.0, shape.1, seed: UInt64(31 + index), levels: levels)
        var expected = Plane<UInt32>(height: shape.0, width: shape.1, repeating: 7)
        let count = try watershed.placeSeeds(watershed.boundaryLevels(affinities), into: &expected)
        var found = Plane<UInt32>(height: shape.0, width: shape.1, repeating: 9)
        #expect(try watershed.placeSeeds(affinities, into: &found) == count)
        #expect(found == expected, "\(shape), distance \(distance), smoothing \(smoothing), \(levels) levels")
      }
    }
  }

  /// More pixels wait on one level than a piece of a queue holds.
  @Test("a flood of wide fronts")
  func wideFronts() throws {
    let (height, width) = (9, 6000)
    let bright = Plane<UInt8>(height: height, width: width, repeating: 200)
    var seeds = Plane<UInt32>(height: height, width: width, repeating: 0)
    for x in 0..<width { seeds[x % 3 == 0 ? 0 : 8, x] = UInt32(x + 1) }
    let watershed = try SeededWatershed()
    let affinities = AffinitySection(z: bright, y: bright, x: bright)
    var found = seeds
    try watershed.flood(affinities, &found)
    #expect(found.storage == Self.fifoFlood(seeds))
  }

  /// Of one level: first come, first served.
  static func fifoFlood(_ seeds: Plane<UInt32>) -> [UInt32] {
    var labels = seeds.storage
    var queue = labels.indices.filter { labels[$0] != 0 }
    var head = 0
    while head < queue.count {
      let p = queue[head]
      head += 1
      for q in around(p, seeds.height, seeds.width) where labels[q] == 0 {
        labels[q] = labels[p]
        queue.append(q)
      }
    }
    return labels
  }

  @Test("seeds are the largest of their window")
  func seedDistance() throws {
    var options = SeededWatershedOptions()
    options.seedDistance = 3
    let watershed = try SeededWatershed(options)
    let levels = watershed.boundaryLevels(Self.affinities(40, 37, seed: 8, levels: 200))
    let distance = try watershed.squaredDistance(levels)
    var seeds = Plane<UInt32>(height: 40, width: 37, repeating: 0)
    let count = try watershed.placeSeeds(levels, into: &seeds)
    #expect(count > 2)
    for y in 0..<40 {
      for x in 0..<37 {
        var largest: Int32 = 0
        for v in max(0, y - 3)...min(39, y + 3) {
          for u in max(0, x - 3)...min(36, x + 3) { largest = max(largest, distance[v, u]) }
        }
        #expect((seeds[y, x] != 0) == (distance[y, x] > 0 && distance[y, x] == largest), "at (\(y), \(x))")
      }
    }
  }

  @Test("no seed gives one fragment, nothing none")
  func withoutSeed() throws {
    let dark = Plane<UInt8>(height: 4, width: 6, repeating: 0)
    let one = try SeededWatershed().fragments(of: AffinitySection(z: dark, y: dark, x: dark))
    #expect(one.count == 1 && one.labels.storage.allSatisfy { $0 == 1 })
    let bright = Plane<UInt8>(height: 4, width: 6, repeating: 255)
    let whole = try SeededWatershed().fragments(of: AffinitySection(z: bright, y: bright, x: bright))
    #expect(whole == one)
    let none = Plane<UInt8>(height: 0, width: 6, repeating: 0)
    let nothing = try SeededWatershed().fragments(of: AffinitySection(z: none, y: none, x: none))
    #expect(nothing.count == 0 && nothing.labels.height == 0 && nothing.labels.width == 6)
  }

  @Test("dropped fragments leave 0, the others stay as they were")
  func dropped() throws {
    let affinities = Self.affinities(50, 48, seed: 4, levels: 200)
    let all = try Self.everyMaximum().fragments(of: affinities)
    var options = SeededWatershedOptions()
    options.seedDistance = 0
    options.minimumSize = 20
    options.smallFragments = .drop
    let kept = try SeededWatershed(options).fragments(of: affinities)
    Self.expectFragments(kept, complete: false)
    let areas = Self.areas(all)
    #expect(areas.contains { $0 < 20 } && kept.count > 0)
    for (label, was) in zip(kept.labels.storage, all.labels.storage) {
      #expect((label == 0) == (areas[Int(was) - 1] < 20))
    }
  }
}
