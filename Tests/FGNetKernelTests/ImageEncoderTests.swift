import Testing

@testable import FGNetKernel

extension FGNetKernelSuite {
  /// SAM2's image encoder against PyTorch's in float64, and its shapes against SAM2's checkpoints.
  @Suite struct ImageEncoderTests {
    /// Sides of images: one that pads most windows, one that pads none, and the one SAM2 was trained at.
    static func sides(_ size: ImageEncoderArchitecture.Size) -> [Int] { [160, size == .large ? 256 : 224, 1024] }

    /// All sides on one encoder: 212 million weights are made once.
    @Test(arguments: ImageEncoderArchitecture.Size.allCases)
    func parity(_ size: ImageEncoderArchitecture.Size) throws {
      let architecture = ImageEncoderArchitecture(size)
      let source = FormulaWeights(seed: 1, tensors: architecture.tensors)
      let encoder = try ImageEncoder(architecture: architecture, weights: source)
      for side in Self.sides(size) {
        let name = "encoder-\(size.rawValue)-\(side)x\(side)"
        let golden = try GoldenFile(name)
        #expect(try ImageEncoderArchitecture(json: golden.architecture, source: name) == architecture)
        #expect(golden.weightsSeed == source.seed)
        if !golden.weights.isEmpty { Self.expect(source, golden) }
        var traced: [ParityTests.Traced] = []
        var failure: (any Error)?
        let wanted = Set(golden.outputs.map(\.key))
        encoder.trace = { key, place, map in
          guard wanted.contains(key) else { return }
          do { try ParityTests.collect(&traced, key, place, map) } catch { failure = error }
        }
        let planes = (0..<3).map { channel in
          let values = goldenInput(seed: golden.inputSeed, start: channel * side * side, count: side * side)
          return FloatPlane(height: side, width: side, values: values)
        }
        let features = try encoder.features(of: planes)
        #expect(failure == nil)
        #expect(ParityTests.firstDeparture(golden, traced) == nil, "\(name)")
        // What the caller gets is what was compared.
        #expect(features.backboneFPN.map(\.height) == [side / 4, side / 8, side / 16])
        for (stride, map) in zip([4, 8, 16], features.backboneFPN) {
          let compared = try #require(traced.first { $0.key == "neck.\(stride)" }?.maps[0])
          #expect((map.height, map.width, map.channels) == (compared.height, compared.width, 256))
          #expect(map.values == compared.array(), "stride \(stride)")
        }
        #expect(features.visionFeatures == features.backboneFPN[2])
      }
    }

    static func expect(_ source: FormulaWeights, _ golden: GoldenFile) {
      #expect(golden.weights.map(\.key) == source.inventory.map(\.key))
      for (spec, expected) in zip(source.inventory, golden.weights) {
        #expect(spec.shape == expected.shape, "\(spec.key)")
        #expect(Array(source.values(of: spec).prefix(expected.first.count)) == expected.first, "\(spec.key)")
      }
    }

    struct Counts: Sendable {
      var size: ImageEncoderArchitecture.Size
      var trunk, trunkTensors, neck: Int
    }

    /// Counted by instantiating SAM2's own code.
    @Test(arguments: [
      Counts(size: .tiny, trunk: 26_849_472, trunkTensors: 154, neck: 369_664),
      Counts(size: .small, trunk: 33_947_328, trunkTensors: 202, neck: 369_664),
      Counts(size: .basePlus, trunk: 68_675_712, trunkTensors: 298, neck: 431_104),
      Counts(size: .large, trunk: 212_149_296, trunkTensors: 586, neck: 553_984),
    ])
    func parameters(_ counts: Counts) throws {
      let architecture = ImageEncoderArchitecture(counts.size)
      try architecture.validate(source: "preset")
      #expect(architecture.size == counts.size)
      let trunk = architecture.tensors.filter { $0.key.hasPrefix("trunk.") }
      let neck = architecture.tensors.filter { $0.key.hasPrefix("neck.convs.") }
      #expect(trunk.count == counts.trunkTensors && neck.count == 8)
      #expect(trunk.count + neck.count == architecture.tensors.count)
      #expect(trunk.reduce(0) { $0 + $1.count } == counts.trunk)
      #expect(neck.reduce(0) { $0 + $1.count } == counts.neck)
    }

    @Test func convolutionsOfTheNeckAreNumberedFromCoarseToFine() {
      let shapes = ImageEncoderArchitecture(.large).tensors.filter { $0.key.hasSuffix(".conv.weight") }.map(\.shape)
      #expect(shapes == [[256, 1152, 1, 1], [256, 576, 1, 1], [256, 288, 1, 1], [256, 144, 1, 1]])
    }

    /// Which levels take something from the next coarser one.
    @Test func topDownLevels() throws {
      func outputs(_ levels: [Int]) throws -> [[Float]] {
        let shape = ImageEncoderArchitecture.Neck(dModel: 2, fpnTopDownLevels: levels)
        let specs = (0..<4).flatMap { index in
          [
            TensorSpec(key: "neck.convs.\(index).conv.weight", shape: [2, 1, 1, 1]),
            TensorSpec(key: "neck.convs.\(index).conv.bias", shape: [2]),
          ]
        }
        let neck = try Neck(shape, Weights(FormulaWeights(seed: 3, tensors: specs), expecting: specs), Meter())
        let maps = try (0..<4).map { level in
          let (height, width) = (8 >> level, 16 >> level)
          return try Tensor(height, width, 1, (0..<height * width).map { Float($0 + level) })
        }
        return try neck(maps).map { $0.array() }
      }
      let alone = try outputs([])
      let sam2 = try outputs([2, 3])
      #expect(sam2[0] == alone[0] && sam2[1] == alone[1] && sam2[3] == alone[3])
      // Stride 32 is 1 x 2 pixels of two channels, stride 16 is 2 x 4.
      var expected = alone[2]
      for pixel in 0..<8 {
        for channel in 0..<2 { expected[pixel * 2 + channel] += alone[3][pixel % 4 / 2 * 2 + channel] }
      }
      #expect(sam2[2] == expected)
      let all = try outputs([0, 1, 2, 3])
      #expect(all[2] == sam2[2] && all[1] != sam2[1] && all[0] != sam2[0])
    }

    @Test func valuesThatAreNoNumbersAreRefused() throws {
      let path = try GoldenFile.path("micro-encoder-weights")
      var plane = FloatPlane(height: 32, width: 32, values: [Float](repeating: 0, count: 1024))
      let good = plane
      plane.values[7] = .infinity
      let bad = plane
      #expect(throws: KernelError.notFinite(what: "channel 1 of the image")) {
        try ImageEncoder(path: path).features(of: [good, bad, good])
      }
    }

    /// The training code's file, read back, is the formula's encoder.
    @Test func theFileOfTheTrainingCodeEqualsTheFormula() throws {
      let path = try GoldenFile.path("micro-encoder-weights")
      let file = try ImageEncoderFile(path: path)
      let formula = FormulaWeights(seed: 1, tensors: file.architecture.tensors)
      #expect(file.inventory == formula.inventory)
      for spec in formula.inventory { #expect(file.values(of: spec) == formula.values(of: spec), "\(spec.key)") }
      #expect(file.card.contains("micro"))
      #expect(file.architecture.neck == .sam2 && file.architecture.size == nil)
      let planes = (0..<3).map { channel in
        FloatPlane(height: 64, width: 96, values: goldenInput(seed: UInt64(channel), start: 0, count: 64 * 96))
      }
      let loaded = try ImageEncoder(path: path).features(of: planes)
      #expect(try loaded == ImageEncoder(architecture: file.architecture, weights: formula).features(of: planes))
    }
  }
}
