import CKernels
import Testing

@testable import FGNetKernel

/// The narrow network of the goldens, cheap enough to run often.
func microArchitecture() throws -> Architecture {
  try Architecture(json: GoldenFile("micro-3x96x160").architecture, source: "micro")
}

/// A section of noise, its own for every z.
func noise(_ z: Int, _ height: Int, _ width: Int) -> FloatPlane {
  let values = (0..<height * width).map {
    Float(FormulaWeights.uniform(seed: UInt64(1000 + z * 100_000), index: UInt64($0)) + 0.5)
  }
  return FloatPlane(height: height, width: width, values: values)
}

extension FGNetKernelSuite {
  @Suite struct StreamingTests {
    final class Loads { var counts: [Int: Int] = [:] }

    static func stack(_ sections: Range<Int>, _ height: Int, _ width: Int, _ loads: Loads? = nil) -> [StackPlane] {
      sections.map { z in
        StackPlane(key: "s\(z)") {
          loads?.counts[z, default: 0] += 1
          return noise(z, height, width)
        }
      }
    }

    static func micro() throws -> FGNet {
      let architecture = try microArchitecture()
      return try FGNet(architecture: architecture, weights: FormulaWeights(seed: 1, tensors: architecture.tensors))
    }

    @Test func costDoesNotGrowAndNothingIsDoneTwice() throws {
      let network = try FGNet(architecture: .nano, weights: FormulaWeights(seed: 1, tensors: Architecture.nano.tensors))
      let expected = network.architecture.operationsPerSection(height: 128, width: 128)
      let loads = Loads()
      var bytes: [Int] = []
      for newest in 0..<56 {
        let final = newest - network.contextRadius
        guard final >= 0 else { continue }
        let before = network.operationsDone
        // What the pipeline gives: the sections within the context radius.
        let first = max(0, final - network.contextRadius)
        _ = try network.evaluate(index: final - first, stack: Self.stack(first..<newest + 1, 128, 128, loads))
        let done = network.operationsDone - before
        if final >= 5 {
          #expect(Double(done) <= 1.10 * Double(expected), "section \(final): \(done) of \(expected)")
          #expect(Double(done) >= 0.999 * Double(expected), "section \(final) cannot cost less than the network")
        }
        bytes.append(network.memoryInUse)
      }
      #expect(loads.counts.values.allSatisfy { $0 == 1 })
      #expect(bytes.count == 51 && bytes[50] == bytes[10])
      // No more than 0.35 MFLOP per pixel (DESIGN.md 6).
      #expect(2 * expected <= 350_000 * 128 * 128)
    }

    @Test func streamingEqualsTheWholeStack() throws {
      let whole = try Self.micro()
      let all = Self.stack(0..<14, 70, 95)
      // Backwards, so that nothing is met in the order of streaming.
      var expected: [Int: Prediction] = [:]
      for index in (0..<14).reversed() {
        expected[index] = try whole.evaluate(index: index, stack: all, coarse: true)
      }
      let streaming = try Self.micro()
      for newest in 5..<14 {
        let final = newest - 5
        let first = max(0, final - 5)
        let found = try streaming.evaluate(
          index: final - first, stack: Self.stack(first..<newest + 1, 70, 95), coarse: true)
        #expect(found == expected[final], "section \(final)")
      }
      for final in 9..<14 {
        let stack = Self.stack(4..<14, 70, 95)
        #expect(try streaming.evaluate(index: final - 4, stack: stack, coarse: true) == expected[final])
      }
      #expect(expected[0] != expected[1])
    }

    @Test func provisionalResultsDoNotDisturbFinalOnes() throws {
      let (network, fresh) = (try Self.micro(), try Self.micro())
      for newest in 0..<12 {
        let stack = Self.stack(0..<newest + 1, 40, 33)
        for index in 0...newest {
          let found = try network.evaluate(index: index, stack: stack)
          if newest - index == 5 {
            #expect(found == (try fresh.evaluate(index: index, stack: stack)), "section \(index)")
          }
        }
      }
    }

    @Test func aProvisionalTailCostsNoFinalWorkTwice() throws {
      let network = try Self.micro()
      let expected = network.architecture.operationsPerSection(height: 32, width: 32)
      for newest in 5..<20 {
        let stack = Self.stack(newest - min(newest, 10)..<newest + 1, 32, 32)
        let before = network.operationsDone
        _ = try network.evaluate(index: stack.count - 6, stack: stack)
        let done = network.operationsDone - before
        if newest > 10 { #expect(Double(done) <= 1.10 * Double(expected), "section \(newest - 5)") }
        _ = try network.evaluate(index: stack.count - 1, stack: stack)
      }
    }

    @Test func onlyTheContextCounts() throws {
      let network = try Self.micro()
      let stack = Self.stack(0..<13, 32, 64)
      let expected = try network.evaluate(index: 6, stack: stack)
      func changed(_ z: Int) throws -> Prediction {
        var stack = stack
        stack[z] = StackPlane(key: "changed \(z)") { noise(z + 77, 32, 64) }
        return try network.evaluate(index: 6, stack: stack)
      }
      #expect(try changed(0) == expected)
      #expect(try changed(12) == expected)
      #expect(try changed(1) != expected)
      #expect(try changed(11) != expected)
    }

    /// Blank sections have one key; they share their layers.
    @Test func equalSectionsShareTheirLayers() throws {
      func stack(_ key: (Int) -> String) -> [StackPlane] {
        (0..<16).map { z in StackPlane(key: key(z)) { noise(z == 8 ? 8 : 0, 32, 32) } }
      }
      let (shared, apart) = (try Self.micro(), try Self.micro())
      for index in 0..<16 {
        let found = try shared.evaluate(index: index, stack: stack { $0 == 8 ? "odd" : "blank" })
        #expect(found == (try apart.evaluate(index: index, stack: stack { "s\($0)" })), "section \(index)")
      }
      #expect(shared.operationsDone < apart.operationsDone)
    }

    @Test func otherTilesStayWithinTheLimit() throws {
      let network = try Self.micro()
      for tile in 0..<6 {
        let stack = (0..<11).map { z in StackPlane(key: "s\(z) tile \(tile)") { noise(z + tile * 50, 64, 64) } }
        network.memoryLimit = 3_000_000
        _ = try network.evaluate(index: 5, stack: stack)
      }
      let bytes = network.memoryInUse
      network.memoryLimit = 0
      _ = try network.evaluate(index: 0, stack: Self.stack(0..<6, 32, 32))
      #expect(bytes <= 2 * 3_000_000)
      #expect(network.memoryInUse < bytes)
    }

    @Test(arguments: [(1, 1), (1, 200), (33, 31), (97, 160)]) func anySize(_ height: Int, _ width: Int) throws {
      let (network, stack) = (try Self.micro(), Self.stack(0..<3, height, width))
      let prediction = try network.evaluate(index: 1, stack: stack, coarse: true)
      #expect(prediction.refined.count == 3 && prediction.coarse.count == 3)
      for plane in prediction.refined {
        #expect(plane.height == height && plane.width == width)
        #expect(plane.values.allSatisfy { $0 > 0 && $0 < 1 })
      }
      for plane in prediction.coarse { #expect(plane.height == (height + 1) / 2 && plane.width == (width + 1) / 2) }
      let plain = try network.evaluate(index: 1, stack: stack)
      #expect(plain.refined == prediction.refined && plain.coarse.isEmpty)
    }

    @Test func reflection() {
      #expect((-3..<9).map { reflected($0, 4) } == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2])
      #expect((0..<5).map { reflected($0, 1) } == [0, 0, 0, 0, 0])
      #expect((0..<5).map { reflected($0, 2) } == [0, 1, 0, 1, 0])
    }

    /// A tile at multiples of the alignment, with its halo, gives the pixels of the whole section.
    @Test func aTileWithItsHaloEqualsTheWhole() throws {
      let network = try FGNet(architecture: .nano, weights: FormulaWeights(seed: 1, tensors: Architecture.nano.tensors))
      let (height, whole) = (128, 640)
      let halo = network.architecture.halo
      #expect(halo == 384)
      let section = noise(3, height, whole).values
      func columns(_ count: Int) throws -> [Float] {
        // As normalised input: the statistics are the section's, not the tile's.
        let stack = [StackPlane(key: "\(count) columns") { noise(3, height, whole) }]
        let maps = try network.maps(index: 0, stack: stack) { _ in
          let tile = (0..<height).flatMap { y in section[y * whole..<y * whole + count] }
          return try Tensor(height, count, 1, tile)
        }
        return (0..<height).flatMap { y in (0..<128 * 3).map { maps.refined.data[y * count * 3 + $0] } }
      }
      let expected = try columns(whole)
      #expect(try columns(128 + halo) == expected)
      #expect(try columns(128) != expected)
    }

    @Test func faultsAreNamed() throws {
      let network = try Self.micro()
      var stack = Self.stack(0..<3, 32, 32)
      stack[1] = StackPlane(key: "small") { noise(1, 31, 32) }
      let wrong = #expect(throws: KernelError.self) { try network.evaluate(index: 0, stack: stack) }
      #expect(wrong?.description.contains("small") == true || wrong?.description.contains("s0") == true)
      stack[1] = StackPlane(key: "empty") { FloatPlane(height: 0, width: 0, values: []) }
      #expect(throws: KernelError.badSection(key: "empty", reason: "it has no pixels")) {
        try network.evaluate(index: 0, stack: stack)
      }
      stack[1] = StackPlane(key: "hot") {
        FloatPlane(height: 32, width: 32, values: .init(repeating: .nan, count: 1024))
      }
      #expect(throws: KernelError.self) { try network.evaluate(index: 0, stack: stack) }
      // And then goes on.
      #expect(throws: Never.self) { try network.evaluate(index: 0, stack: Self.stack(0..<3, 32, 32)) }
    }

    /// Freed planes are used again: in steady state a section takes no memory from the system. In a process of its own,
    /// because the kept memory is the process's.
    @Test func memoryIsBounded() async {
      await #expect(processExitsWith: .success) {
        let network = try FGNetKernelSuite.StreamingTests.micro()
        var bytes: [Int] = []
        for newest in 5..<16 {
          let stack = FGNetKernelSuite.StreamingTests.stack(0..<newest + 1, 512, 512)
          _ = try network.evaluate(index: newest - 5, stack: stack)
          bytes.append(ck_memory())
        }
        try #require(bytes[10] == bytes[6] && bytes[10] > 1 << 20)
        try #require(network.memoryInUse <= bytes[10])
        ck_release_kept()
        try #require(ck_memory() < bytes[10])
      }
    }

    @Test func layers() {
      #expect(Layer.output.radius == 5)
      for layer in Layer.allCases {
        #expect(layer.radius + layer.reach <= 5)
        for input in layer.inputs { #expect(input.layer.rawValue < layer.rawValue) }
      }
      // A section's F_1 waits for its output; its normalised image for nothing.
      #expect(Layer.fine1.firstPlaceNeeded(after: 10) == 11)
      #expect(Layer.image.firstPlaceNeeded(after: 10) == 16)
    }
  }
}
