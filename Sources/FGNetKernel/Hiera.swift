/// The image encoder of SAM2. Ports sam2/modeling/backbones/hieradet.py (Hiera) @2b90b9f.
final class Hiera {
  private let shape: Architecture.Trunk
  private let patch: Convolution
  private let blocks: [HieraBlock]
  /// (embed_dim, rows, columns), row-major.
  private let background: [Float]?
  private let window: [Float]
  private var cached: Tensor?
  private let meter: Meter

  /// - Parameter grey: the input has one channel, which stands for all of the trunk's; their weights are summed.
  init(_ shape: Architecture.Trunk, _ weights: Weights, grey: Bool, _ meter: Meter) throws(KernelError) {
    self.shape = shape
    self.meter = meter
    let key = "trunk.patch_embed"
    var weight = try weights("\(key).proj.weight")
    if grey { weight = Self.summedChannels(weight, shape.inChans) }
    patch = try Convolution(
      key: key, weight: weight, bias: weights("\(key).proj.bias"), inputs: grey ? 1 : shape.inChans, planes: 1, k: 7,
      stride: 4, meter: meter)
    window = try weights("trunk.pos_embed_window")
    background = shape.windowPosEmbedBkgSpatialSize == nil ? nil : try weights("trunk.pos_embed")
    var blocks: [HieraBlock] = []
    for (index, block) in shape.blocks.enumerated() {
      blocks.append(try HieraBlock("trunk.blocks.\(index)", block, weights, meter))
    }
    self.blocks = blocks
  }

  /// (o, 7 * 7) <- (o, channels, 7 * 7).
  private static func summedChannels(_ weight: [Float], _ channels: Int) -> [Float] {
    stride(from: 0, to: weight.count, by: channels * 49).flatMap { start in
      (0..<49).map { tap in
        var sum = 0.0
        for channel in 0..<channels { sum += Double(weight[start + channel * 49 + tap]) }
        return Float(sum)
      }
    }
  }

  /// Maps at strides 4, 8, 16, 32 of (h, w, inputs); h and w are multiples of 32.
  func callAsFunction(_ image: Tensor) throws(KernelError) -> [Tensor] {
    precondition(image.height % 32 == 0 && image.width % 32 == 0)
    let position = try position(image.height / 4, image.width / 4)
    var tokens = try patch(image, residual: position)
    var outputs: [Tensor] = []
    for (block, shape) in zip(blocks, shape.blocks) {
      tokens = try block(tokens)
      if shape.endOfStage != nil { outputs.append(tokens) }
    }
    return outputs
  }

  /// The position embedding of a grid of tokens: the window's, repeated, plus the background's, resized.
  private func position(_ height: Int, _ width: Int) throws(KernelError) -> Tensor {
    if let cached, cached.height == height, cached.width == width { return cached }
    let dim = shape.embedDim
    let out = try Tensor(height, width, dim)
    let (rows, columns) = (shape.posEmbedWindow[0], shape.posEmbedWindow[1])
    let tile = Self.channelsLast(window, dim)
    tile.withUnsafeBufferPointer { tile in
      guard let tile = tile.baseAddress else { return }
      for y in 0..<height {
        for x in stride(from: 0, to: width, by: columns) {
          let to = out.data + (y * width + x) * dim
          to.update(from: tile + y % rows * columns * dim, count: min(columns, width - x) * dim)
        }
      }
    }
    if let background, let grid = shape.windowPosEmbedBkgSpatialSize {
      addBackground(background, grid[0], grid[1], to: out)
    }
    meter.report("trunk.position", out)
    cached = out
    return out
  }

  /// out <- out + background (rows, columns) resized: first its rows, then the columns of each row of the result.
  private func addBackground(_ background: [Float], _ rows: Int, _ columns: Int, to out: Tensor) {
    let dim = out.channels
    let grid = Self.channelsLast(background, dim)
    let vertical = (0..<out.height).map { Bicubic(place: $0, from: rows, to: out.height) }
    let horizontal = (0..<out.width).map { Bicubic(place: $0, from: columns, to: out.width) }
    for y in 0..<out.height {
      var row = [Float](repeating: 0, count: columns * dim)
      vertical[y].add(grid, count: columns * dim, to: &row)
      for x in 0..<out.width { horizontal[x].add(row, count: dim, to: out.data + (y * out.width + x) * dim) }
    }
  }

  /// (places, channels) <- (channels, places).
  private static func channelsLast(_ map: [Float], _ channels: Int) -> [Float] {
    let places = map.count / channels
    return (0..<map.count).map { map[$0 % channels * places + $0 / channels] }
  }
}

/// The four taps of a bicubic resize at one place: A = -0.75, half-pixel centres, borders repeated, as PyTorch does it.
struct Bicubic {
  private let taps: [Int]
  private let weights: [Float]

  init(place: Int, from: Int, to: Int) {
    let source = (Float(place) + 0.5) * (Float(from) / Float(to)) - 0.5
    let base = source.rounded(.down)
    let t = source - base
    let a: Float = -0.75
    func near(_ x: Float) -> Float { ((a + 2) * x - (a + 3)) * x * x + 1 }
    func far(_ x: Float) -> Float { ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
    weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    taps = (-1...2).map { min(max(Int(base) + $0, 0), from - 1) }
  }

  /// out (count) <- out + the four of values (from, count), weighted.
  func add(_ values: UnsafePointer<Float>, count: Int, to out: UnsafeMutablePointer<Float>) {
    let (a, b) = (values + taps[0] * count, values + taps[1] * count)
    let (c, d) = (values + taps[2] * count, values + taps[3] * count)
    let (wa, wb, wc, wd) = (weights[0], weights[1], weights[2], weights[3])
    for i in 0..<count { out[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i] }
  }
}
