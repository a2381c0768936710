import Domain
import FGNetKernel
import Testing

@testable import Plugins

@Suite(.serialized) struct FGNetAffinityStageTests {
  static func stage() throws -> FGNetAffinityStage {
    let weights = FormulaWeights(seed: 1, tensors: Architecture.nano.tensors)
    return FGNetAffinityStage(network: try FGNet(architecture: .nano, weights: weights), modelHash: "abc123")
  }

  static func section(_ z: SectionNumber) -> StackSection {
    StackSection(z: z, key: "section \(z)") {
      let values = (0..<20 * 30).map { FormulaWeights.uniform(seed: UInt64(z) + 50, index: UInt64($0)) + 0.5 }
      return Plane(height: 20, width: 30, storage: values.map { Float($0) })
    }
  }

  @Test func contract() throws {
    let stage = try Self.stage()
    #expect(stage.name == "fgnet" && stage.contextRadius == 5 && stage.halo > 0)
    #expect(stage.fingerprint.contains("abc123") && stage.fingerprint.contains(FGNet.kernelVersion))
    let stack = [Self.section(3), Self.section(4)]
    let first = try stage.affinities(of: 0, in: stack)
    #expect(first.height == 20 && first.width == 30)
    #expect(first.z.storage.allSatisfy { $0 == 0 })
    let second = try stage.affinities(of: 1, in: stack)
    #expect(second.z.storage.contains { $0 != 0 })
    for affinities in [first, second] {
      #expect((0..<30).allSatisfy { affinities.y[0, $0] == 0 } && (0..<20).allSatisfy { affinities.x[$0, 0] == 0 })
      #expect(affinities.y[1, 0] != 0 && affinities.x[0, 1] != 0)
    }
    #expect(try stage.affinities(of: 1, in: stack) == second)
    #expect(try Self.stage().affinities(of: 1, in: stack) == second)
  }

  /// Kept or not, everything else is the same; z of the first section has no meaning.
  @Test func coarseAffinitiesAreKeptWhereWanted() throws {
    let network = try FGNet(
      architecture: .nano, weights: FormulaWeights(seed: 1, tensors: Architecture.nano.tensors))
    let keeping = FGNetAffinityStage(network: network, modelHash: "abc123", keepsCoarse: true)
    #expect(try keeping.fingerprint == Self.stage().fingerprint)
    let stack = [Self.section(3), Self.section(4)]
    for index in 0..<2 {
      var found = try keeping.affinities(of: index, in: stack)
      let coarse = try #require(found.coarse)
      #expect(coarse.height == 10 && coarse.width == 15)
      #expect(coarse.z.storage.allSatisfy { $0 == 0 } == (index == 0))
      #expect(coarse.y[0, 3] != 0 && coarse.x[3, 0] != 0)
      let expected = try network.evaluate(index: index, stack: stack.map(keeping.plane), coarse: true).coarse
      #expect(coarse.y.storage == FGNetAffinityStage.bytes(expected[1].values))
      #expect(coarse.x.storage == FGNetAffinityStage.bytes(expected[2].values))
      found.coarse = nil
      #expect(try Self.stage().affinities(of: index, in: stack) == found)
    }
  }

  /// Where there is too little memory for the whole section.
  @Test func coarseAffinitiesOfTilesAreThoseOfTheWhole() throws {
    func stage() throws -> FGNetAffinityStage {
      FGNetAffinityStage(
        network: try FGNet(
          architecture: .nano, weights: FormulaWeights(seed: 1, tensors: Architecture.nano.tensors)),
        modelHash: "abc123", keepsCoarse: true)
    }
    let image = Plane<Float>(
      height: 301, width: 303,
      storage: (0..<301 * 303).map { Float(FormulaWeights.uniform(seed: 9, index: UInt64($0)) + 0.5) })
    let stack = [StackSection(z: 0, key: "a", height: 301, width: 303) { image.cropped(to: $0) }]
    let (whole, tiled) = (try stage(), try stage())
    tiled.limitMemory(to: FGNetAffinityStage.reserve + 110 << 20)
    #expect(tiled.memoryLeft(height: 301, width: 303) == 0, "it is cut into tiles")
    let expected = try whole.affinities(of: 0, in: stack)
    #expect(try tiled.affinities(of: 0, in: stack) == expected)
    #expect(expected.coarse?.height == 151 && expected.coarse?.width == 152)
  }

  @Test func quantisation() {
    let plane = FloatPlane(height: 2, width: 2, values: [0, 0.5, 1, 0.0019])
    let result = FGNetAffinityStage.quantised([plane, plane, plane], first: false)
    #expect(result.z.storage == [0, 128, 255, 0])
    #expect(result.y.storage == [0, 0, 255, 0])
    #expect(result.x.storage == [0, 128, 0, 0])
  }

  @Test func withoutAScaleTheFingerprintIsWhatItWas() throws {
    #expect(try Self.stage().fingerprint == "fgnet kernel=\(FGNet.kernelVersion) model=abc123")
    guard Precision.bfloat16.isSupported else { return }
    let weights = FormulaWeights(seed: 1, tensors: Architecture.nano.tensors)
    let network = try FGNet(architecture: .nano, weights: weights, precision: .bfloat16)
    #expect(
      FGNetAffinityStage(network: network, modelHash: "abc123").fingerprint
        == "fgnet kernel=\(FGNet.kernelVersion) model=abc123 precision=bf16")
  }

  @Test func faultsNameTheStageAndTheSection() throws {
    let stack = [
      StackSection(z: 0, key: "dark") { Plane(height: 4, width: 4, repeating: .infinity) }
    ]
    let error = #expect(throws: StageError.self) { try Self.stage().affinities(of: 0, in: stack) }
    #expect(error?.stage == "fgnet" && error?.reason.contains("dark") == true)
  }

  @Test func bytesAreRounded() {
    // Halves and their neighbours, and everything between.
    var values: [Float] = (0...255).flatMap { whole -> [Float] in
      let half = (Float(whole) + 0.5) / 255
      return [Float(whole) / 255, half, half.nextUp, half.nextDown]
    }
    values += (0...10_000).map { Float($0) / 10_000 }
    values = values.filter { $0 <= 1 }
    #expect(FGNetAffinityStage.bytes(values) == values.map { UInt8(($0 * 255).rounded()) })
    #expect(FGNetAffinityStage.bytes([]).isEmpty)
  }
}
