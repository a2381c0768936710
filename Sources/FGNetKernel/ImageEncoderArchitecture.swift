/// The shape of SAM2's image encoder, as the `architecture` attribute of its weights file has it: a trunk, and the
/// feature pyramid ("neck") behind it.
public struct ImageEncoderArchitecture: Codable, Sendable, Equatable {
  /// The feature pyramid. Levels count from fine to coarse: 0 is stride 4, 3 is stride 32.
  public struct Neck: Codable, Sendable, Equatable {
    /// Channels of every level.
    public var dModel: Int
    /// Levels that the next coarser one is added to.
    public var fpnTopDownLevels: [Int]

    enum CodingKeys: String, CodingKey {
      case dModel = "d_model"
      case fpnTopDownLevels = "fpn_top_down_levels"
    }

    /// SAM2's, the same in all sizes.
    public static let sam2 = Neck(dModel: 256, fpnTopDownLevels: [2, 3])
  }

  /// SAM2's four sizes; SAM2.1's are the same.
  public enum Size: String, Sendable, CaseIterable {
    case tiny, small
    case basePlus = "base_plus"
    case large
  }

  public var trunk: Architecture.Trunk
  public var neck: Neck

  /// What the keys of SAM2's checkpoints have before ours.
  public static let checkpointPrefix = "image_encoder."

  public init(trunk: Architecture.Trunk, neck: Neck = .sam2) {
    self.trunk = trunk
    self.neck = neck
  }

  public init(_ size: Size) {
    switch size {
    case .tiny: self.init(trunk: .tiny)
    case .small: self.init(trunk: .small)
    case .basePlus: self.init(trunk: .basePlus)
    case .large: self.init(trunk: .large)
    }
  }

  /// The size of SAM2's that this is; nil for another encoder.
  public var size: Size? { Size.allCases.first { Self($0) == self } }

  /// - Throws: `badArchitecture`, naming `source`, for JSON that does not parse or describes no encoder we can build.
  public init(json: String, source: String) throws(KernelError) {
    self = try decode(Self.self, json: json, source: source)
    try validate(source: source)
  }

  /// - Throws: `badArchitecture` with the first reason why this encoder cannot be built.
  public func validate(source: String) throws(KernelError) {
    try trunk.validate(source: source)
    func check(_ condition: Bool, _ reason: String) throws(KernelError) {
      if !condition { throw .badArchitecture(source: source, reason: "neck: \(reason)") }
    }
    try check((1...4096).contains(neck.dModel), "d_model \(neck.dModel)")
    let levels = neck.fpnTopDownLevels
    try check(
      levels.allSatisfy { (0..<4).contains($0) } && Set(levels).count == levels.count,
      "fpn_top_down_levels \(levels) are not different levels from 0 to 3")
  }

  /// Every tensor of the weights file, keys sorted by their bytes. With `checkpointPrefix` before each key these are
  /// SAM2's.
  public var tensors: [TensorSpec] {
    var specs = trunk.tensors
    // Convolutions are numbered from coarse to fine.
    for (index, channels) in trunk.channels.reversed().enumerated() {
      specs.append(TensorSpec(key: "neck.convs.\(index).conv.weight", shape: [neck.dModel, channels, 1, 1]))
      specs.append(TensorSpec(key: "neck.convs.\(index).conv.bias", shape: [neck.dModel]))
    }
    return TensorSpec.sorted(specs)
  }
}
