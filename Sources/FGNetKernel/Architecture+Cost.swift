extension Architecture {
  /// Pixels around a tile that its result depends on, for tiles that begin and end at multiples of the alignment: the
  /// decoders look less than 192 pixels far; each trunk window they touch is needed whole, and the patch embedding sees
  /// 3 pixels more. With global attention no tile is exact, and this is what the decoders need.
  public var halo: Int {
    func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }
    return aligned(aligned(192) + 3)
  }

  /// Multiply-adds of every layer once, for one section inside a tall stack: what a streamed section must cost.
  /// - Parameters: height and width of the section in pixels, before padding to `alignment`.
  public func operationsPerSection(height: Int, width: Int) -> Int {
    func padded(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }
    let (height, width) = (padded(height), padded(width))
    var total = trunk.operations(height: height, width: width)
    let levels = ["stem": 1, "conv1": 1, "head": 2, "conv2": 2]
    for spec in tensors where spec.shape.count == 5 {
      // The stride of a convolution: in its name (`red4`, `rs4.conv0`, `fga.4`), or one of the four above.
      let parts = spec.key.split(separator: ".")
      let name = parts[0] == "fga" ? String(parts[1]) : String(parts[1].drop { !$0.isNumber })
      var stride = levels[String(parts[1])] ?? Int(name) ?? 1
      if parts[0] == "refined" && parts[1] == "head" { stride = 1 }
      // `red` works before the upsampling.
      if parts[1].hasPrefix("red") { stride *= 2 }
      total += spec.count * (height / stride) * (width / stride)
    }
    return total
  }
}

extension Architecture.Trunk {
  func operations(height: Int, width: Int) -> Int {
    var (rows, columns) = (height / 4, width / 4)
    // A grey section enters once, whatever the channels of the patch embedding.
    var total = rows * columns * embedDim * 49
    for block in blocks {
      let tokens = rows * columns
      total += tokens * block.dim * 3 * block.dimOut
      if block.dim != block.dimOut { total += tokens * block.dim * block.dimOut }
      total += block.attentionOperations(rows: rows, columns: columns)
      if block.pooled { (rows, columns) = (rows / 2, columns / 2) }
      total += rows * columns * 9 * block.dimOut * block.dimOut
    }
    return total
  }
}

extension Architecture.Trunk.Block {
  /// Multiply-adds of queries times keys and scores times values.
  func attentionOperations(rows: Int, columns: Int) -> Int {
    guard window > 0 else { return 2 * rows * columns * rows * columns * dimOut }
    let windows = ((rows + window - 1) / window) * ((columns + window - 1) / window)
    let keys = window * window
    return 2 * windows * keys * (pooled ? keys / 4 : keys) * dimOut
  }
}
