import CKernels
import Foundation
import Testing

@testable import FGNetKernel

/// Windows only, as the default network, but narrow, and with a background position embedding, which depends on the place
/// in the whole section.
private func narrowArchitecture() -> Architecture {
  let trunk = Architecture.Trunk(
    embedDim: 8, numHeads: 1, stages: [1, 1, 2, 1], windowSpec: [8, 8, 8, 8], globalAttBlocks: [], qPool: 3,
    inChans: 1, windowPosEmbedBkgSpatialSize: [7, 7], posEmbedWindow: [8, 8])
  var architecture = Architecture(trunk: trunk, alignment: 128)
  architecture.coarse.widths = ["32": 16, "16": 16, "8": 12, "4": 8, "2": 4]
  architecture.fge.widths = ["1": 8, "2": 12, "4": 16, "8": 24]
  return architecture
}

/// A network that counts what is read.
private final class Scan {
  var parts = 0
  let height: Int
  let width: Int
  private var known: [Int: FloatPlane] = [:]

  init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  func plane(_ z: Int) -> FloatPlane {
    if let known = known[z] { return known }
    let made = noise(z, height, width)
    known[z] = made
    return made
  }

  /// Sections that can be read in parts.
  func stack(_ sections: Range<Int>) -> [StackPlane] {
    sections.map { z in
      StackPlane(key: "s\(z)", height: height, width: width) { window in
        self.parts += 1
        let whole = self.plane(z)
        let values = window.rows.flatMap { y in
          whole.values[y * self.width + window.columns.lowerBound..<y * self.width + window.columns.upperBound]
        }
        return FloatPlane(height: window.height, width: window.width, values: values)
      }
    }
  }
}

/// A map put together from what was delivered; every pixel exactly once.
private struct Mosaic {
  var planes: [[Float]]
  var delivered: [Int]
  let width: Int

  init(_ height: Int, _ width: Int) {
    planes = [[Float]](repeating: [Float](repeating: .nan, count: height * width), count: 3)
    delivered = [Int](repeating: 0, count: height * width)
    self.width = width
  }

  /// Of the refined affinities.
  mutating func add(_ window: PixelWindow, _ found: Prediction) { add(window, found.refined) }

  mutating func add(_ window: PixelWindow, _ parts: [FloatPlane]) {
    for (row, y) in window.rows.enumerated() {
      for (column, x) in window.columns.enumerated() {
        delivered[y * width + x] += 1
        for (channel, part) in parts.enumerated() {
          planes[channel][y * width + x] = part.values[row * part.width + column]
        }
      }
    }
  }

  /// The first pixel that was not delivered once, or is another than in the whole, in words.
  func departure(from whole: [FloatPlane]) -> String? {
    if let place = delivered.firstIndex(where: { $0 != 1 }) { return "pixel \(place) came \(delivered[place]) times" }
    for channel in 0..<3 {
      let wrong = zip(planes[channel], whole[channel].values).enumerated().first { $1.0 != $1.1 }
      if let wrong { return "channel \(channel), pixel \(wrong.offset)" }
    }
    return nil
  }
}

extension FGNetKernelSuite {
  @Suite struct TileTests {
    static func network(_ architecture: Architecture, _ precision: Precision) throws -> FGNet {
      try FGNet(
        architecture: architecture, weights: FormulaWeights(seed: 4, tensors: architecture.tensors),
        precision: precision)
    }

    static var precisions: [Precision] { Precision.allCases.filter(\.isSupported) }

    /// Odd sizes; a section smaller than a margin, than the alignment, than a tile; tiles of one and of several steps.
    static let cases: [(height: Int, width: Int, rows: Int, columns: Int)] = [
      (130, 700, 128, 128), (700, 129, 256, 128), (385, 513, 128, 256), (50, 300, 128, 128), (640, 640, 256, 384),
    ]

    @Test(arguments: cases, [(0, 1), (0, 3), (1, 3), (2, 3)])
    func tilesEqualTheWhole(
      _ size: (height: Int, width: Int, rows: Int, columns: Int), _ place: (index: Int, sections: Int)
    ) throws {
      for precision in Self.precisions {
        let network = try Self.network(narrowArchitecture(), precision)
        let scan = Scan(size.height, size.width)
        let stack = scan.stack(0..<place.sections)
        let expected = try network.evaluate(index: place.index, stack: stack, coarse: true)
        let bounds = network.padded(PixelWindow(height: size.height, width: size.width))
        let plan = TilePlan(rows: size.rows, columns: size.columns, bounds: bounds)
        var refined = Mosaic(size.height, size.width)
        var coarse = Mosaic((size.height + 1) / 2, (size.width + 1) / 2)
        try network.affinities(of: place.index, in: stack, plan, coarse: true) {
          refined.add($0, $1)
          coarse.add($0.halved, $1.coarse)
        }
        #expect(refined.departure(from: expected.refined) == nil, "\(precision), \(size)")
        #expect(coarse.departure(from: expected.coarse) == nil, "coarse, \(precision), \(size)")
      }
    }

    /// The default network in the middle of a stack with its whole context.
    @Test func theDefaultNetworkWithAllItsContext() throws {
      for precision in Self.precisions {
        let network = try Self.network(.nano, precision)
        let scan = Scan(129, 513)
        let stack = scan.stack(0..<12)
        let expected = try network.evaluate(index: 6, stack: stack, coarse: true)
        let bounds = network.padded(PixelWindow(height: 129, width: 513))
        var (refined, coarse) = (Mosaic(129, 513), Mosaic(65, 257))
        try network.affinities(of: 6, in: stack, TilePlan(rows: 256, columns: 128, bounds: bounds), coarse: true) {
          refined.add($0, $1)
          coarse.add($0.halved, $1.coarse)
        }
        #expect(refined.departure(from: expected.refined) == nil, "\(precision)")
        #expect(coarse.departure(from: expected.coarse) == nil, "coarse, \(precision)")
      }
    }

    /// Section by section, as they come: with room on disk no layer of a tile is evaluated twice.
    @Test func tilesThatAreKeptCostOneSection() throws {
      let (height, width, count) = (130, 300, 14)
      let whole = try Self.network(narrowArchitecture(), .float32)
      let (kept, fresh) = (
        try Self.network(narrowArchitecture(), .float32), try Self.network(narrowArchitecture(), .float32)
      )
      try kept.useScratch(directory: NSTemporaryDirectory(), bytes: 1 << 30)
      let scan = Scan(height, width)
      let plan = TilePlan(
        rows: 128, columns: 128, bounds: whole.padded(PixelWindow(height: height, width: width)))
      var costs: [Int] = []
      for newest in 5..<count {
        let first = max(0, newest - 10)
        let stack = scan.stack(first..<newest + 1)
        let index = newest - 5 - first
        let expected = try whole.evaluate(index: index, stack: stack, coarse: true)
        for network in [kept, fresh] {
          var (refined, coarse) = (Mosaic(height, width), Mosaic(height / 2, width / 2))
          let before = network.operationsDone
          try network.affinities(of: index, in: stack, plan, coarse: true) {
            refined.add($0, $1)
            coarse.add($0.halved, $1.coarse)
          }
          costs.append(network.operationsDone - before)
          #expect(refined.departure(from: expected.refined) == nil, "section \(newest - 5)")
          #expect(coarse.departure(from: expected.coarse) == nil, "coarse, section \(newest - 5)")
        }
        #expect(kept.memoryInUse == 0)
        // A look at the top of the stack, as it is shown before it is final, disturbs nothing.
        try kept.affinities(of: stack.count - 1, in: stack, plan, coarse: true) { _, _ in }
      }
      let (last, anew) = (costs[costs.count - 2], costs[costs.count - 1])
      #expect(last == costs[costs.count - 4] && last == costs[costs.count - 6])
      #expect(Double(anew) > 3 * Double(last), "\(anew) of \(last)")
      // Each layer once: what one section alone costs, but for the neighbours it does not have, at most two more.
      let alone = try Self.network(narrowArchitecture(), .float32)
      try alone.affinities(of: 0, in: scan.stack(0..<1), plan) { _, _ in }
      #expect(last < 3 * alone.operationsDone, "\(last) of \(alone.operationsDone)")
    }

    /// What does not fit the file is evaluated anew.
    @Test(arguments: [0, 1 << 20, 20 << 20])
    func aSmallFileIsEnough(_ bytes: Int) throws {
      let network = try Self.network(narrowArchitecture(), .float32)
      try network.useScratch(directory: NSTemporaryDirectory(), bytes: bytes)
      let whole = try Self.network(narrowArchitecture(), .float32)
      let scan = Scan(128, 260)
      let plan = TilePlan(rows: 128, columns: 128, bounds: whole.padded(PixelWindow(height: 128, width: 260)))
      for newest in 5..<16 {
        let first = max(0, newest - 10)
        let stack = scan.stack(first..<newest + 1)
        let expected = try whole.evaluate(index: newest - 5 - first, stack: stack).refined
        var found = Mosaic(128, 260)
        try network.affinities(of: newest - 5 - first, in: stack, plan) { found.add($0, $1) }
        for channel in 0..<3 { #expect(found.planes[channel] == expected[channel].values, "section \(newest - 5)") }
        #expect((network.scratch?.bytes ?? 0) <= bytes)
      }
      #expect((network.scratch?.count ?? 0 > 0) == (bytes > 0))
    }

    /// What tiles leave alone: nothing is kept, and a whole section after them is what it was.
    @Test func nothingStaysBehind() throws {
      let network = try Self.network(narrowArchitecture(), .float32)
      let stack = Scan(130, 260).stack(0..<2)
      let before = try network.evaluate(index: 1, stack: stack, coarse: true)
      let bounds = network.padded(PixelWindow(height: 130, width: 260))
      let plan = TilePlan(rows: 128, columns: 128, bounds: bounds)
      try network.affinities(of: 1, in: stack, plan, coarse: true) { _, _ in }
      #expect(network.memoryInUse == 0)
      #expect(try network.evaluate(index: 1, stack: stack, coarse: true) == before)
    }

    @Test func theBudgetDecides() throws {
      let network = try Self.network(.nano, .float32)
      let stack = Scan(1024, 1024).stack(0..<1)
      #expect(try network.tilePlan(0, stack) == nil)
      network.budget = MemoryBudget(bytes: 8 << 30)
      #expect(try network.tilePlan(0, stack) == nil)
      network.budget = MemoryBudget(bytes: 300 << 20)
      let plan = try #require(try network.tilePlan(0, stack))
      #expect(plan.rows < 1024 || plan.columns < 1024)
      // What others hold is not the network's.
      network.budget = MemoryBudget(bytes: 300 << 20, besideWhole: 0, besideTiles: 200)
      let smaller = try #require(try network.tilePlan(0, stack))
      #expect(smaller.rows * smaller.columns < plan.rows * plan.columns)
      network.budget = MemoryBudget(bytes: 1 << 20)
      let error = #expect(throws: KernelError.self) { try network.tilePlan(0, stack) }
      guard case .overBudget(_, _, let bytes, _, true)? = error else { return #expect(Bool(false), "\(error as Any)") }
      network.budget = MemoryBudget(bytes: bytes)
      let smallest = try #require(try network.tilePlan(0, stack))
      #expect(smallest.rows == 128 && smallest.columns == 128)
    }

    @Test func globalAttentionIsTakenWhole() throws {
      let network = try StreamingTests.micro()
      #expect(network.architecture.tileStep == nil)
      network.budget = MemoryBudget(bytes: 1 << 30)
      let scan = Scan(64, 96)
      var found = Mosaic(64, 96)
      try network.affinities(of: 0, in: scan.stack(0..<1)) { found.add($0, $1) }
      #expect(found.planes[2] == (try network.evaluate(index: 0, stack: scan.stack(0..<1)).refined[2].values))
      network.budget = MemoryBudget(bytes: 1 << 20)
      let error = #expect(throws: KernelError.self) {
        try network.affinities(of: 0, in: scan.stack(0..<1)) { _, _ in }
      }
      #expect(error?.description.contains("only as a whole") == true)
      #expect(error?.description.contains("64 x 96") == true)
    }

    /// No tile takes more than the model says, and the model is not far above. In a process of its own, because the
    /// memory is the process's.
    @Test func theModelHolds() async {
      await #expect(processExitsWith: .success) {
        let network = try FGNetKernelSuite.TileTests.network(.nano, .float32)
        ck_release_kept()
        let weights = ck_memory_in_use()
        let scan = Scan(1024, 1024)
        network.budget = MemoryBudget(bytes: 700 << 20)
        for sections in [1, 3] {
          let stack = scan.stack(0..<sections)
          let plan = try #require(try network.tilePlan(0, stack))
          var (worst, most) = (0, 0)
          network.profile = { _, _, _ in
            worst = max(worst, ck_memory_in_use() - weights)
            // With what is kept for reuse.
            most = max(most, ck_memory() - weights)
          }
          try network.affinities(of: 0, in: stack, coarse: true) { _, _ in }
          let context = TilePlan.Context(below: 0, above: sections - 1, streaming: false)
          let model = try #require(network.models[context])
          let bytes = model.bytes(TilePlan.largestExtent(network.architecture, plan.bounds, plan.rows, plan.columns))
          try #require(worst <= bytes, "\(worst) of \(bytes), \(sections) sections")
          try #require(Double(worst) > 0.6 * Double(bytes), "\(worst) of \(bytes), \(sections) sections")
          try #require(bytes <= 700 << 20 && most <= 700 << 20, "\(bytes), \(most)")
        }
      }
    }

    /// The same of a whole section in steady state.
    @Test func theModelHoldsForWholeSections() async {
      await #expect(processExitsWith: .success) {
        let network = try FGNetKernelSuite.TileTests.network(.nano, .float32)
        ck_release_kept()
        let weights = ck_memory_in_use()
        let scan = Scan(512, 512)
        var worst = 0
        network.profile = { _, _, _ in worst = max(worst, ck_memory_in_use() - weights) }
        for newest in 5..<14 {
          _ = try network.evaluate(
            index: min(newest - 5, 5), stack: scan.stack(max(0, newest - 10)..<newest + 1), coarse: true)
        }
        let context = TilePlan.Context(below: 5, above: 5, streaming: true)
        let model = MemoryModel(.nano, below: 5, above: 5, streaming: context.streaming)
        let bytes = model.bytes(MemoryModel.Extent(inner: 512 * 512, outer: 512 * 512))
        try #require(worst <= bytes, "\(worst) of \(bytes)")
        try #require(Double(worst) > 0.6 * Double(bytes), "\(worst) of \(bytes)")
      }
    }

    @Test func normalisationInPartsIsTheSame() throws {
      let values = noise(9, 37, 41).values
      let whole = try #require(Normalisation(values))
      for size in [1, 40, 41, 1000, 37 * 41] {
        let parts = try Normalisation.read { look in
          for start in stride(from: 0, to: values.count, by: size) {
            Array(values[start..<min(start + size, values.count)]).withUnsafeBufferPointer(look)
          }
        }
        #expect(parts == whole, "parts of \(size)")
      }
    }
  }
}
