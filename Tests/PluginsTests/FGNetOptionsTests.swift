import Domain
import FGNetKernel
import Testing

@testable import Plugins

@Suite("Voxel sizes")
struct FGNetOptionsTests {
  static let trained = VoxelNanometres(z: 30, y: 6, x: 6)

  static func options(_ mismatch: FGNetOptions.VoxelSizeMismatch = .rescale, tolerance: Double = 0.15) -> FGNetOptions {
    var options = FGNetOptions(model: "m.h5")
    options.voxelSizeMismatch = mismatch
    options.voxelSizeTolerance = tolerance
    return options
  }

  static func refusal(_ options: FGNetOptions, _ z: Double, _ y: Double, _ x: Double) -> String? {
    do throws(StageError) {
      _ = try options.scale(volume: "cortex", voxelSize: VoxelNanometres(z: z, y: y, x: x), trained: trained)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test("within the tolerance sections go in as they are", arguments: [6, 5.1, 6.9, 6.5])
  func within(pixel: Double) throws {
    for mismatch in [FGNetOptions.VoxelSizeMismatch.rescale, .refuse] {
      let size = VoxelNanometres(z: 30, y: pixel, x: 6)
      #expect(
        try Self.options(mismatch).scale(volume: "cortex", voxelSize: size, trained: Self.trained) == nil)
    }
  }

  @Test("outside, by the ratio of the sizes, in y and x apart")
  func outside() throws {
    for (y, x) in [(3.0, 3.0), (4, 4), (10, 10), (2, 18), (5, 6), (6, 7)] {
      let size = VoxelNanometres(z: 30, y: y, x: x)
      let scale = try Self.options().scale(volume: "cortex", voxelSize: size, trained: Self.trained)
      #expect(scale == PixelScale(y: y / 6, x: x / 6))
    }
    let strict = Self.options(tolerance: 0)
    let near = VoxelNanometres(z: 30, y: 6.1, x: 6)
    #expect(try strict.scale(volume: "cortex", voxelSize: near, trained: Self.trained) != nil)
    #expect(try strict.scale(volume: "cortex", voxelSize: Self.trained, trained: Self.trained) == nil)
  }

  @Test("sections may be thinner and thicker within limits", arguments: [21.0, 25, 30, 50, 54])
  func thickness(z: Double) {
    #expect(Self.refusal(Self.options(), z, 6, 6) == nil)
  }

  @Test("what cannot be used is refused in one sentence with both sizes and what to change")
  func refusals() throws {
    let both =
      "volume cortex has voxels of 30 x 3.5 x 6 nm (z, y, x), the network of m.h5 was trained on 30 x 6 x 6 nm; "
    let refused = try #require(Self.refusal(Self.options(.refuse), 30, 3.5, 6))
    #expect(refused.hasPrefix(both) && refused.contains("voxel_size_tolerance (0.15)"), "\(refused)")
    #expect(refused.contains("voxel_size_mismatch: rescale") && !refused.contains("\n"))
    for (z, y, expected) in [
      (20.0, 6.0, "21 to 54 nm thick"), (60, 6, "21 to 54 nm thick"), (30, 1.9, "rescaled by 0.317 x 0.317"),
      (30, 18.1, "rescaled by 3.017 x 3.017"),
    ] {
      for mismatch in [FGNetOptions.VoxelSizeMismatch.rescale, .refuse] {
        if mismatch == .refuse, z == 30 { continue }
        let found = try #require(Self.refusal(Self.options(mismatch), z, y, y))
        #expect(found.contains(expected) && found.contains("name a model") && found.contains("m.h5"), "\(found)")
      }
      #expect(Self.refusal(Self.options(.ignore), z, y, y) == nil)
    }
  }

  @Test("a weights file without a usable voxel size is refused", arguments: [0, -6, Double.nan, .infinity])
  func wrongModel(size: Double) {
    #expect(throws: StageError.self) {
      try Self.options().scale(
        volume: "cortex", voxelSize: Self.trained, trained: VoxelNanometres(z: 30, y: size, x: 6))
    }
  }

  @Test("the network's size of a section")
  func sizes() {
    #expect(PixelScale(y: 0.5, x: 2.0 / 3).modelSize(height: 101, width: 100) == (51, 67))
    #expect(PixelScale(y: 1.0 / 3, x: 3).modelSize(height: 1, width: 1) == (1, 3))
  }

  @Test("options from the table")
  func table() throws {
    let given: [String: OptionValue] = ["model": .string("m.h5")]
    let resolved = try ResolvedOptions(given, table: FGNetOptions.table, path: "p")
    #expect(FGNetOptions(resolved) == FGNetOptions(model: "m.h5"))
    let other = try ResolvedOptions(
      ["model": .string("m.h5"), "voxel_size_mismatch": .string("ignore"), "voxel_size_tolerance": .int(0)],
      table: FGNetOptions.table, path: "p")
    #expect(FGNetOptions(other) == Self.options(.ignore, tolerance: 0))
    let keeping = try ResolvedOptions(
      ["model": .string("m.h5"), "keep_coarse": .bool(true)], table: FGNetOptions.table, path: "p")
    #expect(FGNetOptions(keeping).keepsCoarse && !FGNetOptions(resolved).keepsCoarse)
  }

  @Test("the precision is the one asked for, or the best there is, or a sentence")
  func precision() throws {
    var options = FGNetOptions(model: "m.h5")
    #expect(try options.resolvedPrecision() == .best)
    options.precision = .float32
    #expect(try options.resolvedPrecision() == .float32)
    options.precision = .bfloat16
    if Precision.bfloat16.isSupported {
      #expect(try options.resolvedPrecision() == .bfloat16)
    } else {
      let refused = #expect(throws: StageError.self) { try options.resolvedPrecision() }
      #expect(refused?.description.contains("AVX512-BF16") == true)
    }
    let given = try ResolvedOptions(
      ["model": .string("m.h5"), "precision": .string("fp32")], table: FGNetOptions.table, path: "p")
    #expect(FGNetOptions(given).precision == .float32)
    #expect(throws: OptionFaults.self) {
      try ResolvedOptions(
        ["model": .string("m.h5"), "precision": .string("fp16")], table: FGNetOptions.table, path: "p")
    }
  }
}
