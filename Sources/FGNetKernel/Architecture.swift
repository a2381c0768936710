/// The shape of a network, as the `architecture` attribute of a weights file has it (docs/model.md).
public struct Architecture: Codable, Sendable, Equatable {
  /// A Hiera image encoder. Stage i has `embedDim * 2^i` channels and `numHeads * 2^i` heads.
  public struct Trunk: Codable, Sendable, Equatable {
    public var embedDim: Int
    public var numHeads: Int
    /// Blocks of each stage; four stages.
    public var stages: [Int]
    /// Side of the attention windows of each stage, in tokens.
    public var windowSpec: [Int]
    /// Blocks that attend to the whole section.
    public var globalAttBlocks: [Int]
    /// Stage changes that pool.
    public var qPool: Int
    public var inChans: Int
    /// Grid of the background position embedding; nil for none.
    public var windowPosEmbedBkgSpatialSize: [Int]?
    public var posEmbedWindow: [Int]

    enum CodingKeys: String, CodingKey {
      case embedDim = "embed_dim"
      case numHeads = "num_heads"
      case stages
      case windowSpec = "window_spec"
      case globalAttBlocks = "global_att_blocks"
      case qPool = "q_pool"
      case inChans = "in_chans"
      case windowPosEmbedBkgSpatialSize = "window_pos_embed_bkg_spatial_size"
      case posEmbedWindow = "pos_embed_window"
    }
  }

  /// Channels by stride, the stride in decimal.
  public struct Widths: Codable, Sendable, Equatable {
    public var widths: [String: Int]
    subscript(stride: Int) -> Int { widths[String(stride)] ?? 0 }
  }

  public var trunk: Trunk
  public var coarse: Widths
  public var fge: Widths
  /// (z, y, x); the first three are the direct neighbours.
  public var offsets: [[Int]]
  public var contextRadius: Int
  /// Height and width are padded to multiples of this, in pixels.
  public var alignment: Int
  /// Voxel size the network was trained for, z y x, nanometres.
  public var voxelSizeNanometres: [Double]
  public var normalisation: String

  enum CodingKeys: String, CodingKey {
    case trunk, coarse, fge, offsets, alignment, normalisation
    case contextRadius = "context_radius"
    case voxelSizeNanometres = "voxel_size_nm"
  }

  /// The default network around a trunk.
  public init(trunk: Trunk, alignment: Int) {
    self.trunk = trunk
    coarse = Widths(widths: ["32": 64, "16": 64, "8": 48, "4": 32, "2": 16])
    fge = Widths(widths: ["1": 32, "2": 48, "4": 64, "8": 96])
    offsets = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    contextRadius = 5
    self.alignment = alignment
    voxelSizeNanometres = [30, 6, 6]
    normalisation = "clipped-mean-std"
  }

  /// - Throws: `badArchitecture`, naming `source`, for JSON that does not parse or describes no network we can build.
  public init(json: String, source: String) throws(KernelError) {
    self = try decode(Self.self, json: json, source: source)
    try validate(source: source)
  }

  /// - Throws: `badArchitecture` with the first reason why this network cannot be built.
  public func validate(source: String) throws(KernelError) {
    try trunk.validate(source: source)
    func check(_ condition: Bool, _ reason: String) throws(KernelError) {
      if !condition { throw .badArchitecture(source: source, reason: reason) }
    }
    for stride in [2, 4, 8, 16, 32] {
      try check((1...4096).contains(coarse[stride]), "coarse.widths has no usable width for stride \(stride)")
    }
    for stride in [1, 2, 4, 8] {
      try check((1...4096).contains(fge[stride]), "fge.widths has no usable width for stride \(stride)")
      try check(stride == 1 || fge[stride] >= 2, "fge.widths of stride \(stride) is below 2")
    }
    let direct = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    try check(Array(offsets.prefix(3)) == direct, "the first three offsets are not the direct neighbours")
    try check(offsets.count <= 256, "more than 256 offsets")
    let radius = Layer.output.radius
    try check(contextRadius == radius, "context_radius is \(contextRadius), the network's is \(radius)")
    try check(alignment > 0 && alignment % 32 == 0 && alignment <= 4096, "alignment \(alignment) is no multiple of 32")
    try check(normalisation == "clipped-mean-std", "unknown normalisation \(normalisation)")
    try check(voxelSizeNanometres.count == 3, "voxel_size_nm is not three numbers")
  }
}

extension Architecture.Trunk {
  /// One block of the trunk.
  struct Block: Equatable {
    var dim: Int
    var dimOut: Int
    var heads: Int
    /// 0: attends to everything.
    var window: Int
    var pooled: Bool
    /// Index of the stage whose output this block gives.
    var endOfStage: Int?
  }

  /// All blocks in order. A stage's first block still has the window of the stage before ("window lag").
  var blocks: [Block] {
    var blocks: [Block] = []
    var dim = embedDim
    var heads = numHeads
    for (stage, depth) in stages.enumerated() {
      for position in 0..<depth {
        let enters = position == 0 && stage > 0
        let window = globalAttBlocks.contains(blocks.count) ? 0 : windowSpec[stage - (enters ? 1 : 0)]
        let dimOut = enters ? dim * 2 : dim
        heads *= enters ? 2 : 1
        blocks.append(
          Block(
            dim: dim, dimOut: dimOut, heads: heads, window: window, pooled: enters && stage <= qPool,
            endOfStage: position == depth - 1 ? stage : nil))
        dim = dimOut
      }
    }
    return blocks
  }

  /// Channels of the outputs at strides 4, 8, 16, 32.
  var channels: [Int] { (0..<4).map { embedDim << $0 } }

  /// - Throws: `badArchitecture`.
  func validate(source: String) throws(KernelError) {
    func check(_ condition: Bool, _ reason: String) throws(KernelError) {
      if !condition { throw .badArchitecture(source: source, reason: "trunk: \(reason)") }
    }
    try check((1...4096).contains(embedDim), "embed_dim \(embedDim)")
    try check((1...4096).contains(numHeads) && embedDim % numHeads == 0, "\(numHeads) heads do not divide \(embedDim)")
    try check(stages.count == 4 && stages.allSatisfy { (1...256).contains($0) }, "stages are not four positive numbers")
    try check(
      windowSpec.count == 4 && windowSpec.allSatisfy { (1...64).contains($0) }, "window_spec is not four windows")
    try check(qPool == 3, "q_pool is \(qPool), only 3 gives strides 4, 8, 16, 32")
    try check((1...64).contains(inChans), "in_chans \(inChans)")
    try check(posEmbedWindow.count == 2 && posEmbedWindow.allSatisfy { $0 == 8 }, "pos_embed_window is not 8 x 8")
    if let background = windowPosEmbedBkgSpatialSize {
      try check(background.count == 2 && background.allSatisfy { (1...1024).contains($0) }, "background grid")
    }
    try check(globalAttBlocks.allSatisfy { (0..<blocks.count).contains($0) }, "global_att_blocks names no block")
    for (index, block) in blocks.enumerated() where block.pooled {
      try check(block.window > 0 && block.window % 2 == 0, "block \(index) pools but has no even window")
    }
  }
}
