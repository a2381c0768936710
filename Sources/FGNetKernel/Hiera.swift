/// Which tokens of a section's grid an image of the trunk gives.
struct TrunkView: Hashable {
  let rows: Range<Int>
  let columns: Range<Int>
  /// The section's grid.
  let height: Int
  let width: Int

  init(rows: Range<Int>, columns: Range<Int>, height: Int, width: Int) {
    self.rows = rows
    self.columns = columns
    self.height = height
    self.width = width
  }

  init(height: Int, width: Int) { self.init(rows: 0..<height, columns: 0..<width, height: height, width: width) }

  /// Tokens above and left of it whose pixels the image has as well: one, or none at the section's border.
  var before: (rows: Int, columns: Int) { (rows.lowerBound > 0 ? 1 : 0, columns.lowerBound > 0 ? 1 : 0) }
}

/// The image encoder of SAM2. Ports sam2/modeling/backbones/hieradet.py (Hiera) @2b90b9f.
final class Hiera {
  private let shape: Architecture.Trunk
  private let patch: Convolution
  private let blocks: [HieraBlock]
  /// (embed_dim, rows, columns), row-major.
  private let background: [Float]?
  private let window: [Float]
  /// The position embedding of the last view.
  private var cached: (view: TrunkView, map: Tensor)?
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

  /// Maps at strides 4, 8, 16, 32 of (h, w, inputs); h and w are multiples of 32, but for the pixels before a view.
  /// - Parameter view: the part of a section that the image is; nil: all of it.
  func callAsFunction(_ image: Tensor, view: TrunkView? = nil) throws(KernelError) -> [Tensor] {
    let view = view ?? TrunkView(height: image.height / 4, width: image.width / 4)
    precondition(view.rows.count % 8 == 0 && view.columns.count % 8 == 0)
    precondition(image.height == 4 * (view.rows.count + view.before.rows))
    precondition(image.width == 4 * (view.columns.count + view.before.columns))
    var tokens = try patches(image, view)
    var outputs: [Tensor] = []
    for (block, shape) in zip(blocks, shape.blocks) {
      tokens = try block(tokens)
      if shape.endOfStage != nil { outputs.append(tokens) }
    }
    return outputs
  }

  /// The tokens of the view. Those before it are embedded with them, because the first of the view see their pixels.
  private func patches(_ image: Tensor, _ view: TrunkView) throws(KernelError) -> Tensor {
    let (above, left) = view.before
    let tokens = try patch(image, residual: position(view))
    if above == 0 && left == 0 { return tokens }
    return try tokens.cropped(rows: above..<tokens.height, columns: left..<tokens.width)
  }

  /// The position embedding of a view and the tokens before it: the window's, repeated, plus the background's, resized
  /// to the section's grid.
  private func position(_ view: TrunkView) throws(KernelError) -> Tensor {
    if let cached, cached.view == view { return cached.map }
    cached = nil
    let dim = shape.embedDim
    let (top, left) = (view.rows.lowerBound - view.before.rows, view.columns.lowerBound - view.before.columns)
    let out = try Tensor(view.rows.upperBound - top, view.columns.upperBound - left, dim)
    let (rows, columns) = (shape.posEmbedWindow[0], shape.posEmbedWindow[1])
    let tile = Self.channelsLast(window, dim)
    tile.withUnsafeBufferPointer { tile in
      guard let tile = tile.baseAddress else { return }
      for y in 0..<out.height {
        let row = tile + (top + y) % rows * columns * dim
        for x in 0..<out.width {
          (out.data + (y * out.width + x) * dim).update(from: row + (left + x) % columns * dim, count: dim)
        }
      }
    }
    if let background, let grid = shape.windowPosEmbedBkgSpatialSize {
      addBackground(background, grid[0], grid[1], to: out, from: (top, left), of: view)
    }
    meter.report("trunk.position", out)
    cached = (view, out)
    return out
  }

  /// out <- out + background (rows, columns) resized: first its rows, then the columns of each row of the result.
  /// - Parameter first: the place of the first token of `out` in the grid of the view's section.
  private func addBackground(
    _ background: [Float], _ rows: Int, _ columns: Int, to out: Tensor, from first: (row: Int, column: Int),
    of view: TrunkView
  ) {
    let dim = out.channels
    let grid = Self.channelsLast(background, dim)
    let vertical = (0..<out.height).map { Bicubic(place: first.row + $0, from: rows, to: view.height) }
    let horizontal = (0..<out.width).map { Bicubic(place: first.column + $0, from: columns, to: view.width) }
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
