/// A tensor of a weights file: its key and its shape, as PyTorch has it.
public struct TensorSpec: Sendable, Equatable {
  public var key: String
  public var shape: [Int]
  public var count: Int { shape.reduce(1, *) }
  public init(key: String, shape: [Int]) {
    self.key = key
    self.shape = shape
  }
}

extension TensorSpec {
  static func sorted(_ specs: [TensorSpec]) -> [TensorSpec] {
    specs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  /// Weight and bias of a planes x k x k convolution.
  static func convolution(_ key: String, _ inputs: Int, _ outputs: Int, _ planes: Int, _ k: Int) -> [TensorSpec] {
    [
      TensorSpec(key: "\(key).weight", shape: [outputs, inputs, planes, k, k]),
      TensorSpec(key: "\(key).bias", shape: [outputs]),
    ]
  }

  static func linear(_ key: String, _ inputs: Int, _ outputs: Int) -> [TensorSpec] {
    [TensorSpec(key: "\(key).weight", shape: [outputs, inputs]), TensorSpec(key: "\(key).bias", shape: [outputs])]
  }

  static func residual(_ key: String, _ inputs: Int, _ outputs: Int, _ planes: Int) -> [TensorSpec] {
    convolution("\(key).conv0", inputs, outputs, 1, 3) + convolution("\(key).conv1", outputs, outputs, planes, 3)
  }
}

extension Architecture {
  /// Every tensor of the weights file, keys sorted by their bytes.
  public var tensors: [TensorSpec] {
    TensorSpec.sorted(trunk.tensors + coarseTensors + fineTensors + attentionTensors + refinedTensors)
  }

  private var coarseTensors: [TensorSpec] {
    var specs: [TensorSpec] = []
    for (stride, channels) in zip([4, 8, 16, 32], trunk.channels) {
      specs += TensorSpec.convolution("coarse.lateral\(stride)", channels, coarse[stride], 1, 1)
    }
    for stride in [16, 8, 4, 2] {
      specs += TensorSpec.convolution("coarse.red\(stride)", coarse[stride * 2], coarse[stride], 1, 1)
    }
    for (stride, planes) in [(16, 1), (8, 3), (4, 1)] {
      specs += TensorSpec.residual("coarse.rs\(stride)", coarse[stride], coarse[stride], planes)
    }
    specs += TensorSpec.convolution("coarse.conv2", coarse[2], coarse[2], 1, 3)
    return specs + TensorSpec.convolution("coarse.head", coarse[2], offsets.count, 1, 1)
  }

  private var fineTensors: [TensorSpec] {
    var specs = TensorSpec.convolution("fge.stem", 1, fge[1], 1, 5)
    specs += TensorSpec.convolution("fge.conv1", fge[1], fge[1], 1, 3)
    for stride in [2, 4, 8] { specs += TensorSpec.residual("fge.rs\(stride)", fge[stride / 2], fge[stride], 3) }
    return specs
  }

  private var attentionTensors: [TensorSpec] {
    var specs: [TensorSpec] = []
    for stride in [2, 4, 8] {
      let (fine, both) = (fge[stride], fge[stride] + coarse[stride])
      specs += TensorSpec.convolution("fga.\(stride).query", both + 1, fine / 2, 1, 1)
      specs += TensorSpec.convolution("fga.\(stride).gate", fine / 2, 1, 1, 1)
      specs += TensorSpec.convolution("fga.\(stride).channel", both, fine, 1, 1)
      specs += TensorSpec.convolution("fga.\(stride).value", both, fine, 1, 1)
      specs.append(TensorSpec(key: "fga.\(stride).gamma", shape: [fine]))
    }
    return specs
  }

  private var refinedTensors: [TensorSpec] {
    var specs: [TensorSpec] = []
    for (stride, planes) in [(4, 3), (2, 3), (1, 1)] {
      specs += TensorSpec.convolution("refined.red\(stride)", fge[stride * 2], fge[stride], 1, 1)
      specs += TensorSpec.residual("refined.rs\(stride)", fge[stride], fge[stride], planes)
    }
    return specs + TensorSpec.convolution("refined.head", fge[1], offsets.count, 1, 1)
  }
}

extension Architecture.Trunk {
  /// SAM2's keys with `trunk.` before them; not sorted.
  var tensors: [TensorSpec] {
    var specs = [
      TensorSpec(key: "trunk.patch_embed.proj.weight", shape: [embedDim, inChans, 7, 7]),
      TensorSpec(key: "trunk.patch_embed.proj.bias", shape: [embedDim]),
      TensorSpec(key: "trunk.pos_embed_window", shape: [1, embedDim] + posEmbedWindow),
    ]
    if let background = windowPosEmbedBkgSpatialSize {
      specs.append(TensorSpec(key: "trunk.pos_embed", shape: [1, embedDim] + background))
    }
    for (index, block) in blocks.enumerated() {
      let key = "trunk.blocks.\(index)"
      for (norm, dim) in [("norm1", block.dim), ("norm2", block.dimOut)] {
        specs.append(TensorSpec(key: "\(key).\(norm).weight", shape: [dim]))
        specs.append(TensorSpec(key: "\(key).\(norm).bias", shape: [dim]))
      }
      specs += TensorSpec.linear("\(key).attn.qkv", block.dim, 3 * block.dimOut)
      specs += TensorSpec.linear("\(key).attn.proj", block.dimOut, block.dimOut)
      specs += TensorSpec.linear("\(key).mlp.layers.0", block.dimOut, 4 * block.dimOut)
      specs += TensorSpec.linear("\(key).mlp.layers.1", 4 * block.dimOut, block.dimOut)
      if block.dim != block.dimOut { specs += TensorSpec.linear("\(key).proj", block.dim, block.dimOut) }
    }
    return specs
  }
}
