import Domain
import Testing

@testable import Simulator

private func volume(
  seed: UInt64 = 5, _ height: Int, _ width: Int, change: (inout SimulationOptions) -> Void = { _ in }
) throws -> SimulatedVolume {
  var options = SimulationOptions(seed: seed, height: height, width: width)
  change(&options)
  return try SimulatedVolume(options)
}

private func checksum<C: Sequence>(_ values: C) -> UInt64 where C.Element: FixedWidthInteger {
  values.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64(truncatingIfNeeded: $1)) &* 1_099_511_628_211 }
}

@Suite struct SimulatedVolumeTests {
  @Test(arguments: [(1, 1), (33, 57), (1, 200), (96, 96)])
  func everyShapeIsGivenAndRepeats(height: Int, width: Int) throws {
    let one = try volume(height, width).section(-3)
    let two = try volume(height, width).section(-3)
    #expect(one == two)
    #expect(one.image16.height == height && one.image16.width == width)
    #expect(one.labels.height == height && one.labels.width == width)
    #expect(one.image.storage == one.image16.storage.map { UInt8($0 / 256) })
  }

  /// Another process, machine or day gives the same section: no libm, no dictionary order.
  @Test func sectionIsPinned() throws {
    let section = try volume(40, 48).section(7)
    #expect(checksum(section.labels.storage) == 7_752_589_625_762_613_754)
    #expect(checksum(section.image16.storage) == 10_499_734_771_130_616_346)
  }

  @Test func seedsAndSectionsDiffer() throws {
    let a = try volume(seed: 1, 64, 64).section(0)
    #expect(try volume(seed: 2, 64, 64).section(0).image != a.image)
    #expect(try volume(seed: 1, 64, 64).section(1).image != a.image)
  }

  @Test func orderOfSectionsDoesNotMatter() throws {
    let volume = try volume(64, 80)
    let order: [SectionNumber] = [4, -2, 9, 0, 4]
    let first = try order.map { try volume.section($0) }
    for (z, section) in zip(order.reversed(), first.reversed()) { #expect(try volume.section(z) == section) }
    #expect(first[0] == first[4])
  }

  /// A larger picture of the same tissue shows the same neurites where the two overlap: nothing depends on what is asked for.
  @Test func windowDoesNotChangeTheTissue() throws {
    let small = try volume(64, 64).section(3).labels
    let large = try volume(160, 192).section(3).labels
    var names: [UInt32: UInt32] = [:]
    for y in 0..<64 {
      for x in 0..<64 {
        let (a, b) = (small[y, x], large[y, x])
        #expect((a == 0) == (b == 0), "(\(y), \(x))")
        if a != 0 { #expect(names.updateValue(b, forKey: a) ?? b == b, "(\(y), \(x))") }
      }
    }
    #expect(names.count > 2)
  }

  @Test func firstAndLastSectionsExistAndNoOthers() throws {
    let volume = try volume(16, 16)
    #expect(try volume.section(-131_072).labels.storage.count == 256)
    #expect(try volume.section(131_071).labels.storage.count == 256)
    #expect(throws: SimulationError.section(131_072)) { try volume.section(131_072) }
    #expect(throws: SimulationError.section(-131_073)) { try volume.section(-131_073) }
  }

  @Test func imageLooksLikeTissue() throws {
    let section = try volume(256, 256).section(0)
    let greys = section.image.storage.map(Double.init)
    let mean = greys.reduce(0, +) / Double(greys.count)
    let deviation = (greys.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(greys.count)).squareRoot()
    #expect((100...155).contains(mean))
    #expect((24...60).contains(deviation))
    // Membranes, where there is no label, are darker than what they enclose.
    func brightness(where inside: (UInt32) -> Bool) -> Double {
      let chosen = zip(greys, section.labels.storage).filter { inside($0.1) }.map(\.0)
      return chosen.reduce(0, +) / Double(chosen.count)
    }
    #expect(brightness { $0 != 0 } - brightness { $0 == 0 } > 30)
  }
}

@Suite struct SimulatedLabelTests {
  private static func stack(_ count: Int, size: Int, seed: UInt64) throws -> [Plane<UInt32>] {
    let volume = try volume(seed: seed, size, size)
    return try (0..<SectionNumber(count)).map { try volume.section($0).labels }
  }

  @Test(arguments: [5, 11] as [UInt64])
  func shareWithoutLabel(seed: UInt64) throws {
    let labels = try Self.stack(1, size: 384, seed: seed)[0].storage
    let share = Double(labels.count { $0 == 0 }) / Double(labels.count)
    #expect((0.08...0.19).contains(share), "\(share)")
    #expect((40...140).contains(Set(labels).count), "\(Set(labels).count) neurites")
  }

  /// A neurite that is of some size in two neighbouring sections lies over itself.
  @Test func neuritesGoOnFromSectionToSection() throws {
    let stack = try Self.stack(4, size: 320, seed: 5)
    var compared = 0
    var apart: [String] = []
    var overlaps: [Double] = []
    for (z, pair) in zip(stack, stack.dropFirst()).enumerated() {
      var area: [UInt32: (below: Int, above: Int, both: Int)] = [:]
      for (a, b) in zip(pair.0.storage, pair.1.storage) {
        area[a, default: (0, 0, 0)].below += 1
        area[b, default: (0, 0, 0)].above += 1
        if a == b { area[a, default: (0, 0, 0)].both += 1 }
      }
      for (id, n) in area where id != 0 && min(n.below, n.above) >= 150 {
        compared += 1
        overlaps.append(Double(n.both) / Double(min(n.below, n.above)))
        if Double(n.both) < 0.5 * Double(min(n.below, n.above)) { apart.append("\(id) at \(z): \(n)") }
      }
    }
    #expect(compared > 80)
    #expect(overlaps.sorted()[compared / 2] > 0.85)
    // The few are processes in the plane of the section, which come and go within it.
    #expect(Double(apart.count) <= 0.04 * Double(compared), "\(apart)")
  }

  /// Pieces of one label that touch no face of the volume are rare crumbs: a label is one connected neurite.
  @Test func labelsAreConnected() throws {
    let stack = try Self.stack(12, size: 224, seed: 11)
    let (depth, size) = (stack.count, 224)
    let voxels = stack.flatMap(\.storage)
    var seen = [Bool](repeating: false, count: voxels.count)
    var pieces: [UInt32: [(count: Int, touches: Bool)]] = [:]
    for start in voxels.indices where !seen[start] && voxels[start] != 0 {
      var queue = [start]
      var (count, touches) = (0, false)
      seen[start] = true
      while let v = queue.popLast() {
        count += 1
        let (z, y, x) = (v / (size * size), v / size % size, v % size)
        touches = touches || z == 0 || z == depth - 1 || y == 0 || y == size - 1 || x == 0 || x == size - 1
        for (dz, dy, dx) in [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)] {
          guard (0..<depth).contains(z + dz), (0..<size).contains(y + dy), (0..<size).contains(x + dx) else { continue }
          let w = v + (dz * size + dy) * size + dx
          guard !seen[w], voxels[w] == voxels[start] else { continue }
          seen[w] = true
          queue.append(w)
        }
      }
      pieces[voxels[start], default: []].append((count, touches))
    }
    let crumbs = pieces.values.flatMap { $0.sorted { $0.count > $1.count }.dropFirst() }.filter { !$0.touches }
    let loose = crumbs.reduce(0) { $0 + $1.count }
    #expect(pieces.count > 30)
    #expect(Double(loose) < 0.002 * Double(voxels.count), "\(loose) voxels in \(crumbs.count) crumbs")
  }
}

@Suite struct SimulationFaultTests {
  @Test(arguments: SimulationFault.allCases)
  func faultChangesTheImageAndNotTheLabels(fault: SimulationFault) throws {
    let sound = try volume(96, 96).section(2)
    let faulty = try volume(96, 96) { $0.faults = [2: fault] }
    let section = try faulty.section(2)
    #expect(section.fault == fault && sound.fault == nil)
    #expect(section.labels == sound.labels)
    #expect(section.image != sound.image)
    #expect(try faulty.section(3) == volume(96, 96).section(3))
  }

  @Test func faultsShowWhatTheirNamesSay() throws {
    func image(_ fault: SimulationFault?) throws -> [Double] {
      try volume(96, 96) { $0.faults = fault.map { [2: $0] } ?? [:] }.section(2).image.storage.map(Double.init)
    }
    func mean(_ v: [Double]) -> Double { v.reduce(0, +) / Double(v.count) }
    func roughness(_ v: [Double]) -> Double { mean(zip(v, v.dropFirst()).map { abs($0 - $1) }) }
    let sound = try image(nil)
    #expect(try image(.missing).allSatisfy { $0 == 0 })
    #expect(try roughness(image(.blurred)) < 0.8 * roughness(sound))
    #expect(try mean(image(.dark)) < 0.6 * mean(sound))
    let bright = sound.count { $0 > 215 }
    #expect(try image(.cracked).count { $0 > 215 } > bright + 96)
    #expect(try mean(image(.folded)) < mean(sound) - 2)
  }

  @Test func ratesAreKept() throws {
    let volume = try volume(1, 1) {
      $0.faultRates = SimulationFaultRates(missing: 0.1, dark: 0.3)
      $0.faults = [0: .cracked]
    }
    let drawn = (1...2000).map { volume.fault(at: $0) }
    #expect((140...260).contains(drawn.count { $0 == .missing }))
    #expect((520...680).contains(drawn.count { $0 == .dark }))
    #expect(drawn.allSatisfy { $0 == nil || $0 == .missing || $0 == .dark })
    #expect(volume.fault(at: 0) == .cracked)
  }
}

@Suite struct SimulationOptionTests {
  @Test func optionsOutOfRangeAreRefusedInASentence() throws {
    let changes: [(name: String, change: (inout SimulationOptions) -> Void)] = [
      ("height", { $0.height = 0 }), ("width", { $0.width = 16_385 }), ("density", { $0.density = 0.1 }),
      ("density", { $0.density = .nan }), ("noise", { $0.noise = -1 }), ("jitter", { $0.jitter = 9 }),
      ("pixelNanometres", { $0.pixelNanometres = 1 }), ("sectionNanometres", { $0.sectionNanometres = 200 }),
      ("faultRates.dark", { $0.faultRates.dark = 1.5 }),
      ("faultRates", { $0.faultRates = SimulationFaultRates(blurred: 0.7, shifted: 0.7) }),
    ]
    for (name, change) in changes {
      var options = SimulationOptions()
      change(&options)
      do {
        _ = try SimulatedVolume(options)
        Issue.record("\(name) was taken")
      } catch {
        #expect(error.description.hasPrefix("simulation option \(name) is "))
        #expect(error.description.contains(": give "))
      }
    }
  }

  @Test func whatCannotBeNumberedIsRefused() {
    let options = SimulationOptions(height: 16_384, width: 16_384, pixelNanometres: 20, sectionNanometres: 100)
    #expect(throws: SimulationError.tooLarge(height: 16_384, width: 16_384)) { try SimulatedVolume(options) }
  }

  @Test func noiseAndDensityDoWhatTheySay() throws {
    func roughness(_ noise: Double) throws -> Int {
      let image = try volume(64, 64) { $0.noise = noise }.section(0).image.storage
      return zip(image, image.dropFirst()).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    }
    let levels = try [0, 1, 3].map(roughness)
    #expect(levels[0] < levels[1] && levels[1] < levels[2])
    func neurites(_ density: Double) throws -> Int {
      Set(try volume(192, 192) { $0.density = density }.section(0).labels.storage).count
    }
    #expect(try neurites(0.4) < neurites(2))
  }
}

@Suite struct NumberingTests {
  @Test func numbersAreDifferentAndNeverZero() throws {
    let numbering = try Numbering(SimulationOptions(height: 64, width: 64))
    var ids: [UInt32] = []
    for a in -6...6 {
      for b in -6...6 {
        ids.append(numbering.trunk(a, b))
        for z in [-3931, -1, 0, 3931] {
          for k in 0..<Anatomy.perBlock { ids.append(numbering.thin(a, b, z, k)) }
        }
      }
    }
    #expect(!ids.contains(0))
    #expect(Set(ids).count == ids.count)
  }
}
