internal import CKernels

/// Every layer of `Layer`, with its weights.
final class Modules {
  private let trunk: Hiera
  private let convolutions: [String: Convolution]
  private let blocks: [String: ResidualBlock]
  private let attention: [FeatureGuidedAttention]
  private let meter: Meter

  init(_ architecture: Architecture, _ source: any WeightsSource, _ meter: Meter) throws(KernelError) {
    let weights = try Weights(source, expecting: architecture.tensors)
    self.meter = meter
    trunk = try Hiera(architecture.trunk, weights, grey: true, meter)
    var convolutions: [String: Convolution] = [:]
    for key in [
      "coarse.lateral4", "coarse.lateral8", "coarse.lateral16", "coarse.lateral32", "coarse.red2", "coarse.red4",
      "coarse.red8", "coarse.red16", "coarse.conv2", "coarse.head", "refined.red1", "refined.red2", "refined.red4",
      "refined.head",
    ] {
      convolutions[key] = try Convolution(key, weights, meter)
    }
    self.convolutions = convolutions
    var blocks: [String: ResidualBlock] = [:]
    for key in [
      "coarse.rs16", "coarse.rs8", "coarse.rs4", "fge.rs2", "fge.rs4", "fge.rs8", "refined.rs4", "refined.rs2",
      "refined.rs1",
    ] {
      blocks[key] = try ResidualBlock(key, weights, meter)
    }
    // The same shape under other names.
    blocks["fge.1"] = try ResidualBlock("F_1", "fge.stem", "fge.conv1", weights, meter)
    self.blocks = blocks
    attention = [
      try FeatureGuidedAttention("fga.2", weights, meter), try FeatureGuidedAttention("fga.4", weights, meter),
      try FeatureGuidedAttention("fga.8", weights, meter),
    ]
  }

  private func convolution(_ key: String) -> Convolution {
    guard let found = convolutions[key] else { preconditionFailure("no convolution \(key)") }
    return found
  }

  private func block(_ key: String) -> ResidualBlock {
    guard let found = blocks[key] else { preconditionFailure("no block \(key)") }
    return found
  }

  /// A layer's maps from those of its inputs.
  /// - Parameters:
  ///   - view: the part of the section that the trunk's image is; nil: all of it.
  ///   - read: the maps of an input layer at the place shifted by -1, 0 or 1; nil where the stack ends.
  /// - Precondition: `layer` is not `.image`.
  func evaluate(
    _ layer: Layer, view: TrunkView? = nil, _ read: (Layer, Int) -> [Tensor]?
  ) throws(KernelError) -> [Tensor] {
    func at(_ layer: Layer, _ map: Int = 0) -> Tensor {
      guard let maps = read(layer, 0) else { preconditionFailure("\(layer) is not there") }
      return maps[map]
    }
    func around(_ layer: Layer) -> [Tensor?] { [-1, 0, 1].map { read(layer, $0)?[0] } }
    switch layer {
    case .image: preconditionFailure("an image is given, not evaluated")
    case .base: return try base(at(.image), view)
    case .fine1: return [try fine1(at(.image))]
    case .encode2: return [try encode("fge.rs2", at(.fine1))]
    case .guide8: return [try block("coarse.rs8").second(around(.base))]
    case .guide4: return [try guide4(at(.guide8), at(.base, 1))]
    case .guide2: return [try guide2(at(.guide4))]
    case .coarse: return try coarse(at(.guide2))
    case .fine2: return [try fine(0, "fge.rs2", around(.encode2), at(.guide2), at(.coarse, 1))]
    case .encode4: return [try encode("fge.rs4", at(.fine2))]
    case .fine4: return [try fine(1, "fge.rs4", around(.encode4), at(.guide4), at(.coarse, 2))]
    case .encode8: return [try encode("fge.rs8", at(.fine4))]
    case .fine8: return [try fine(2, "fge.rs8", around(.encode8), at(.guide8), at(.coarse, 3))]
    case .mix4: return [try mix(4, at(.fine8), at(.fine4))]
    case .decode4: return [try block("refined.rs4").second(around(.mix4))]
    case .mix2: return [try mix(2, at(.decode4), at(.fine2))]
    case .output: return [try output(around(.mix2), at(.fine1))]
    }
  }

  private func base(_ image: Tensor, _ view: TrunkView?) throws(KernelError) -> [Tensor] {
    let outputs = try trunk(image, view: view)
    let g32 = try convolution("coarse.lateral32")(outputs[3], relu: true)
    let g16 = try block("coarse.rs16")(join("coarse.red16", g32, "coarse.lateral16", outputs[2]))
    let g8 = try block("coarse.rs8").first(join("coarse.red8", g16, "coarse.lateral8", outputs[1]))
    return [g8, try convolution("coarse.lateral4")(outputs[0])]
  }

  /// relu(up(red(x)) + lateral(t)).
  private func join(_ red: String, _ x: Tensor, _ lateral: String, _ t: Tensor) throws(KernelError) -> Source {
    .doubled(try convolution(red)(x), adding: try convolution(lateral)(t))
  }

  private func fine1(_ image: Tensor) throws(KernelError) -> Tensor { try block("fge.1")(.plain(image)) }

  private func guide4(_ g8: Tensor, _ lateral: Tensor) throws(KernelError) -> Tensor {
    try block("coarse.rs4")(.doubled(convolution("coarse.red4")(g8), adding: lateral))
  }

  private func guide2(_ g4: Tensor) throws(KernelError) -> Tensor {
    let out = try convolution("coarse.conv2")(.doubled(convolution("coarse.red2")(g4)), relu: true)
    meter.report("G_2", out)
    return out
  }

  private func coarse(_ g2: Tensor) throws(KernelError) -> [Tensor] {
    let logits = try convolution("coarse.head")(g2)
    let unsure2 = try Tensor(logits.height, logits.width, 1)
    ck_unsure(logits.data, unsure2.data, Int32(logits.pixels), Int32(logits.channels))
    let unsure4 = try averagePool(unsure2)
    let unsure8 = try averagePool(unsure4)
    if meter.traces {
      for (name, map) in [("U_2", unsure2), ("U_4", unsure4), ("U_8", unsure8)] { meter.report(name, map) }
      let full = try upsample(logits, relu: false)
      ck_sigmoid(full.data, Int32(full.count))
      meter.report("A_s", full)
    }
    return [logits, unsure2, unsure4, unsure8]
  }

  private func encode(_ key: String, _ finer: Tensor) throws(KernelError) -> Tensor {
    try block(key).first(.pooled(finer))
  }

  private func fine(
    _ level: Int, _ key: String, _ stack: [Tensor?], _ guide: Tensor, _ unsure: Tensor
  ) throws(KernelError) -> Tensor {
    try attention[level](block(key).second(stack), guide: guide, unsure: unsure)
  }

  private func mix(_ stride: Int, _ coarser: Tensor, _ skip: Tensor) throws(KernelError) -> Tensor {
    try block("refined.rs\(stride)").first(.doubled(convolution("refined.red\(stride)")(coarser), adding: skip))
  }

  private func output(_ stack: [Tensor?], _ fine1: Tensor) throws(KernelError) -> Tensor {
    let d2 = try block("refined.rs2").second(stack)
    let logits = try block("refined.rs1")(
      .doubled(convolution("refined.red1")(d2), adding: fine1), head: convolution("refined.head"))
    if meter.traces {
      let full = try Tensor(logits.height, logits.width, logits.channels, logits.array())
      ck_sigmoid(full.data, Int32(full.count))
      meter.report("A_r", full)
    }
    return logits
  }
}
