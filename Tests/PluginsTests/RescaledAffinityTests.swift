import Domain
import FGNetKernel
import Testing

@testable import Plugins

/// The affinity stage on sections whose pixels are not the network's.
@Suite(.serialized) struct RescaledAffinityTests {
  static func network() throws -> FGNet {
    try FGNet(architecture: .nano, weights: FormulaWeights(seed: 1, tensors: Architecture.nano.tensors))
  }

  static func stage(_ network: FGNet, _ scale: PixelScale?) -> FGNetAffinityStage {
    FGNetAffinityStage(network: network, modelHash: "abc123", scale: scale)
  }

  /// Counts how often the image of each section is asked for.
  final class Asked {
    var times: [SectionNumber: Int] = [:]
  }

  /// Smooth patterns; `factor` pixels for each pixel of the network.
  static func section(
    _ z: SectionNumber, height: Int = 20, width: Int = 30, factor: Int = 1, asked: Asked? = nil
  ) -> StackSection {
    StackSection(z: z, key: "section \(z)") {
      asked?.times[z, default: 0] += 1
      var image = Plane<Float>(height: height * factor, width: width * factor, repeating: 0)
      for y in 0..<image.height {
        for x in 0..<image.width {
          let index = UInt64(y / factor * width + x / factor)
          image[y, x] = Float(FormulaWeights.uniform(seed: UInt64(z) + 50, index: index) + 0.5)
        }
      }
      return image
    }
  }

  @Test func pixelsOfHalfTheSizeGiveTheSameNetworkInput() throws {
    let plain = Self.stage(try Self.network(), nil)
    let scaled = Self.stage(try Self.network(), PixelScale(y: 0.5, x: 0.5))
    for index in 0..<3 {
      let coarse = try plain.affinities(of: index, in: (0..<3).map { Self.section($0) })
      let fine = try scaled.affinities(of: index, in: (0..<3).map { Self.section($0, factor: 2) })
      #expect(fine.height == 40 && fine.width == 60)
      // Where a fine border lies on a coarse one, and between two fine middles around a coarse one.
      for y in 0..<20 {
        for x in 0..<30 {
          let (v, u) = (2 * y, 2 * x)
          if index == 0 { #expect(fine.z[v, u] == 0 && fine.z[v + 1, u + 1] == 0) }
          if x > 0, x < 29, y > 0 { #expect(abs(Self.mixed(coarse.y, y, x, alongX: true) - Int(fine.y[v, u])) <= 1) }
          if y > 0, y < 19, x > 0 { #expect(abs(Self.mixed(coarse.x, y, x, alongX: false) - Int(fine.x[v, u])) <= 1) }
        }
      }
      #expect((0..<60).allSatisfy { fine.y[0, $0] == 0 } && (0..<40).allSatisfy { fine.x[$0, 0] == 0 })
    }
  }

  /// A quarter of the way from a pixel to the one before it.
  static func mixed(_ plane: Plane<UInt8>, _ y: Int, _ x: Int, alongX: Bool) -> Int {
    let before = alongX ? plane[y, x - 1] : plane[y - 1, x]
    return Int((0.75 * Double(plane[y, x]) + 0.25 * Double(before)).rounded())
  }

  /// At half the section's own size, whatever the network's pixels are.
  @Test func coarseAffinitiesHaveHalfTheSectionsSize() throws {
    let plain = FGNetAffinityStage(network: try Self.network(), modelHash: "abc123", keepsCoarse: true)
    let scaled = FGNetAffinityStage(
      network: try Self.network(), modelHash: "abc123", scale: PixelScale(y: 0.5, x: 0.5), keepsCoarse: true)
    for index in 0..<2 {
      let own = try #require(try plain.affinities(of: index, in: (0..<2).map { Self.section($0) }).coarse)
      let found = try #require(try scaled.affinities(of: index, in: (0..<2).map { Self.section($0, factor: 2) }).coarse)
      #expect(found.height == 20 && found.width == 30)
      #expect(found.z.storage.allSatisfy { $0 == 0 } == (index == 0))
      // The mean of four is between the network's numbers around them.
      for (fine, coarse) in [(found.y, own.y), (found.x, own.x)] {
        for y in 1..<9 {
          for x in 1..<14 {
            let near = (y - 1...y + 1).flatMap { y in (x - 1...x + 1).map { x in coarse[y, x] } }
            let mean = (0..<4).reduce(0) { $0 + Int(fine[2 * y + $1 / 2, 2 * x + $1 % 2]) } / 4
            #expect((Int(near.min() ?? 0) - 1...Int(near.max() ?? 0) + 1).contains(mean))
          }
        }
      }
    }
    let odd = FGNetAffinityStage(
      network: try Self.network(), modelHash: "abc123", scale: PixelScale(y: 0.5, x: 1.5), keepsCoarse: true)
    let section = try odd.affinities(of: 0, in: [Self.section(0, height: 31, width: 17)])
    #expect(section.coarse?.height == 16 && section.coarse?.width == 9)
  }

  @Test func everySectionIsResampledOnceAndNoLayerIsEvaluatedTwice() throws {
    let (plain, scaled) = (try Self.network(), try Self.network())
    let (plainAsked, scaledAsked) = (Asked(), Asked())
    for (network, scale, factor, asked) in [
      (plain, nil, 1, plainAsked), (scaled, PixelScale(y: 0.5, x: 0.5), 2, scaledAsked),
    ] {
      let stage = Self.stage(network, scale)
      // As the pipeline does it: a growing stack, each section once its context is there.
      for index in 0..<9 {
        let window = max(0, index - 5)...index + 5
        let stack = window.map { Self.section(SectionNumber($0), factor: factor, asked: asked) }
        _ = try stage.affinities(of: index - window.lowerBound, in: stack)
      }
    }
    #expect(scaledAsked.times == plainAsked.times)
    #expect(scaledAsked.times.count == 14 && scaledAsked.times.values.allSatisfy { $0 == 1 }, "\(scaledAsked.times)")
    #expect(plain.operationsDone == scaled.operationsDone)
  }

  @Test func anAnswerFromMemoryHasTheSectionsOwnSize() throws {
    let stage = Self.stage(try Self.network(), PixelScale(y: 0.5, x: 1.5))
    let stack = (0..<2).map { Self.section($0, height: 31, width: 17) }
    let first = try stage.affinities(of: 0, in: stack)
    _ = try stage.affinities(of: 0, in: [Self.section(7, height: 12, width: 12)])
    let again = try stage.affinities(of: 0, in: stack)
    #expect(first.height == 31 && first.width == 17 && again == first)
  }

  @Test func planesOfOtherScalesAreOtherPlanes() throws {
    let shared = try Self.network()
    let stack = (0..<2).map { Self.section($0) }
    for scale in [PixelScale(y: 0.5, x: 0.5), PixelScale(y: 1.5, x: 0.5), nil, PixelScale(y: 0.5, x: 1.5)] {
      let expected = try Self.stage(try Self.network(), scale).affinities(of: 1, in: stack)
      #expect(try Self.stage(shared, scale).affinities(of: 1, in: stack) == expected)
    }
  }

  @Test func theFingerprintHoldsTheFactors() throws {
    let network = try Self.network()
    let plain = Self.stage(network, nil).fingerprint
    let scaled = Self.stage(network, PixelScale(y: 0.5, x: 2.0 / 3))
    #expect(scaled.fingerprint == plain + " rescale/1 y=0.5 x=0.6666666666666666")
    #expect(scaled.halo >= 2 * Self.stage(network, nil).halo)
  }

  @Test func aSectionThatIsNoImageIsNamed() throws {
    let stage = Self.stage(try Self.network(), PixelScale(y: 0.5, x: 0.5))
    for image in [Plane<Float>(height: 8, width: 8, repeating: .nan), Plane(height: 0, width: 0, repeating: 0)] {
      let error = #expect(throws: StageError.self) {
        try stage.affinities(of: 0, in: [StackSection(z: 0, key: "dark \(image.height)") { image }])
      }
      #expect(error?.reason.contains("dark") == true)
    }
  }
}
