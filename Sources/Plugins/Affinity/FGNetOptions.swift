public import Domain
internal import FGNetKernel

/// Options of the stage `fgnet`.
public struct FGNetOptions: Sendable, Equatable {
  /// What is done when a volume's voxels are not those that the network was trained on.
  public enum VoxelSizeMismatch: String, Sendable, CaseIterable {
    /// Sections are brought to the network's pixel size, and the affinities back.
    case rescale
    /// The start is refused.
    case refuse
    /// Nothing is compared.
    case ignore
  }

  /// What numbers the network multiplies.
  public enum PrecisionChoice: String, Sendable, CaseIterable {
    /// The fastest that the computer can do and that gives segments as good.
    case automatic = "auto"
    case float32 = "fp32"
    case bfloat16 = "bf16"
  }

  /// Path of the weights file.
  public var model: String
  public var precision = PrecisionChoice.automatic
  public var voxelSizeMismatch = VoxelSizeMismatch.rescale
  /// Pixel sizes that differ by no more than this share of the network's go in as they are. Training varies the scale of
  /// its crops by as much.
  public var voxelSizeTolerance = 0.15
  /// The coarse affinities are kept beside the refined ones, to be looked at. Nothing else depends on it.
  public var keepsCoarse = false

  public init(model: String) { self.model = model }

  public static let stage = "fgnet"
  public static let table = [
    OptionDescription("model", .path, default: nil, "Weights file (HDF5) of the network."),
    OptionDescription(
      "precision", .choice(PrecisionChoice.allCases.map(\.rawValue)), default: .string("auto"),
      "What numbers the network multiplies: fp32, bf16 (needs a CPU with AVX512-BF16; about twice as fast on AMD's), or auto: the faster one."
    ),
    OptionDescription(
      "voxel_size_mismatch", .choice(VoxelSizeMismatch.allCases.map(\.rawValue)), default: .string("rescale"),
      "What is done when a volume's pixels differ from the network's by more than the tolerance: rescale, refuse, or ignore."
    ),
    OptionDescription(
      "voxel_size_tolerance", .double(0...0.5), default: .double(0.15),
      "Share of the network's pixel size by which a volume's may differ and still go in as it is."),
    OptionDescription(
      "keep_coarse", .bool, default: .bool(false),
      "Whether the coarse affinities are kept beside the refined ones, to be looked at."),
  ]

  public init(_ options: ResolvedOptions) {
    model = options.string("model")
    precision = PrecisionChoice(rawValue: options.string("precision")) ?? .automatic
    voxelSizeMismatch = VoxelSizeMismatch(rawValue: options.string("voxel_size_mismatch")) ?? .rescale
    voxelSizeTolerance = options.double("voxel_size_tolerance")
    keepsCoarse = options.bool("keep_coarse")
  }

  /// The precision on this computer.
  /// - Throws: why it cannot be had, and what to change.
  func resolvedPrecision() throws(StageError) -> Precision {
    switch precision {
    case .automatic: return .best
    case .float32: return .float32
    case .bfloat16:
      guard Precision.bfloat16.isSupported else {
        throw StageError(
          stage: Self.stage, reason: "precision: bf16 needs a CPU with AVX512-BF16, which this one is not; use auto")
      }
      return .bfloat16
    }
  }

  /// Ratios of a volume's section thickness to the network's within which it is used: 21 to 54 nm for 30 nm. Sections cannot
  /// be rescaled along z.
  public static let thicknessLimits = 0.7...1.8
  /// Factors by which sections are rescaled at most: beyond, membranes are lost or the network sees blur.
  public static let scaleLimits = 1.0 / 3...3

  /// How sections of a volume come to the network; nil: as they are.
  /// - Parameters:
  ///   - volume: the volume's name, for faults.
  ///   - voxelSize: the volume's.
  ///   - trained: the network's.
  /// - Throws: why the network is not used on such a volume, and what to change.
  public func scale(
    volume: String, voxelSize: VoxelNanometres, trained: VoxelNanometres
  ) throws(StageError) -> PixelScale? {
    if voxelSizeMismatch == .ignore { return nil }
    let both =
      "volume \(volume) has voxels of \(voxelSize) (z, y, x), the network of \(model) was trained on \(trained)"
    func refused(_ reason: String) -> StageError {
      StageError(stage: Self.stage, reason: "\(both); \(reason), or compare nothing with voxel_size_mismatch: ignore")
    }
    guard trained.isUsable else { throw refused("the weights file is wrong: write it again with the voxel size") }
    let thickness = Self.thicknessLimits
    guard Self.holds(thickness, voxelSize.z / trained.z) else {
      let (low, high) = (trained.z * thickness.lowerBound, trained.z * thickness.upperBound)
      throw refused(
        "sections may be \(Self.rounded(low)) to \(Self.rounded(high)) nm thick, for they cannot be rescaled along z: "
          + "name a model for such sections, or correct voxel_size_nm of the volume")
    }
    let scale = PixelScale(y: voxelSize.y / trained.y, x: voxelSize.x / trained.x)
    if [scale.y, scale.x].allSatisfy({ Self.holds(1 - voxelSizeTolerance...1 + voxelSizeTolerance, $0) }) {
      return nil
    }
    if voxelSizeMismatch == .refuse {
      throw refused(
        "its pixels differ by more than voxel_size_tolerance (\(voxelSizeTolerance)): name a model for such pixels, "
          + "correct voxel_size_nm of the volume, have sections rescaled with voxel_size_mismatch: rescale")
    }
    guard Self.holds(Self.scaleLimits, scale.y), Self.holds(Self.scaleLimits, scale.x) else {
      throw refused(
        "sections would be rescaled by \(scale) (y, x), and 1/3 to 3 is the limit: name a model for such pixels, "
          + "or correct voxel_size_nm of the volume")
    }
    return scale
  }

  /// Sizes are written by people in decimals: 6.9 / 6 is within 1.15.
  private static func holds(_ range: ClosedRange<Double>, _ value: Double) -> Bool {
    value >= range.lowerBound - 1e-9 && value <= range.upperBound + 1e-9
  }

  private static func rounded(_ value: Double) -> String { VoxelNanometres.text((value * 100).rounded() / 100) }
}
