internal import CKernels

/// One transformer block of Hiera. Ports sam2/modeling/backbones/hieradet.py (MultiScaleBlock) @2b90b9f.
final class HieraBlock {
  private let key: String
  private let shape: Architecture.Trunk.Block
  private let norm1: LayerNorm
  private let norm2: LayerNorm
  private let qkv: Linear
  private let attentionProjection: Linear
  private let hidden: Linear
  private let back: Linear
  private let projection: Linear?
  private let meter: Meter

  init(_ key: String, _ shape: Architecture.Trunk.Block, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.shape = shape
    self.meter = meter
    norm1 = try LayerNorm("\(key).norm1", weights)
    norm2 = try LayerNorm("\(key).norm2", weights)
    qkv = try Linear("\(key).attn.qkv", weights, meter)
    attentionProjection = try Linear("\(key).attn.proj", weights, meter)
    hidden = try Linear("\(key).mlp.layers.0", weights, meter)
    back = try Linear("\(key).mlp.layers.1", weights, meter)
    projection = shape.dim == shape.dimOut ? nil : try Linear("\(key).proj", weights, meter)
  }

  /// (h, w, dimOut) <- (h, w, dim), or half of h and w where the block pools.
  func callAsFunction(_ tokens: Tensor) throws(KernelError) -> Tensor {
    let normed = try norm1(tokens)
    // Where the width changes, the shortcut is a projection of the normalised input.
    let shortcut = try projection.map { layer throws(KernelError) in try project(normed, layer) } ?? tokens
    let mixed = try attention(normed)
    let out = try Tensor(mixed.height, mixed.width, shape.dimOut)
    add(attentionProjection.bias, to: shortcut, into: out)
    attentionProjection.run(mixed, rows: out.pixels, into: out, adding: true)
    try addMLP(to: out)
    meter.report(key, out)
    return out
  }

  private func add(_ bias: [Float], to input: Tensor, into out: Tensor) {
    ck_bias_add(input.data, bias, out.data, Int32(out.pixels), Int32(out.channels))
  }

  private func project(_ normed: Tensor, _ layer: Linear) throws(KernelError) -> Tensor {
    let out = try Tensor(normed.height, normed.width, layer.outputs)
    layer.run(normed, rows: out.pixels, into: out)
    add(layer.bias, to: out, into: out)
    return shape.pooled ? try maximumPool(out) : out
  }

  private func attention(_ normed: Tensor) throws(KernelError) -> Tensor {
    let combined = try Tensor(normed.height, normed.width, 3 * shape.dimOut)
    qkv.run(normed, rows: normed.pixels, into: combined)
    let scale = shape.pooled ? 2 : 1
    let out = try Tensor(normed.height / scale, normed.width / scale, shape.dimOut)
    let operations = shape.attentionOperations(rows: normed.height, columns: normed.width)
    let what = shape.window > 0 ? "windows of \(shape.window)" : "all tokens"
    try meter.measure("\(key).attn \(what) at \(normed.height)x\(normed.width)", operations) { () throws(KernelError) in
      if shape.window > 0 {
        windowAttention(combined, into: out)
      } else {
        add(qkv.bias, to: combined, into: combined)
        try globalAttention(combined, into: out)
      }
    }
    return out
  }

  private func windowAttention(_ combined: Tensor, into out: Tensor) {
    qkv.bias.withUnsafeBufferPointer { bias in
      // Tokens that pad the last windows are not masked in SAM2: they have q, k, v equal to the bias.
      var call = ck_attention(
        qkv: combined.data, bias: bias.baseAddress, out: out.data, h: Int32(combined.height),
        w: Int32(combined.width), heads: Int32(shape.heads), d: Int32(shape.dimOut / shape.heads),
        window: Int32(shape.window), pooled: shape.pooled ? 1 : 0)
      ck_window_attention(&call)
    }
  }

  /// Attention of every token to every token, some queries at a time, so that the scores stay small.
  private func globalAttention(_ combined: Tensor, into out: Tensor) throws(KernelError) {
    let (tokens, dim, d) = (combined.pixels, shape.dimOut, shape.dimOut / shape.heads)
    let step = min(tokens, 256)
    let scores = try Tensor(1, step, tokens)
    withExtendedLifetime(scores) {
      for head in 0..<shape.heads {
        let (key, value) = (combined.data + dim + head * d, combined.data + 2 * dim + head * d)
        for start in stride(from: 0, to: tokens, by: step) {
          let rows = min(step, tokens - start)
          let query = combined.data + start * 3 * dim + head * d
          multiply(
            query, 3 * dim, key, 3 * dim, transposed: true, scores.data, tokens, m: rows, n: tokens, k: d, beta: 0)
          ck_softmax(scores.data, Int32(rows), Int32(tokens), 1 / Float(d).squareRoot())
          multiply(
            scores.data, tokens, value, 3 * dim, transposed: false, out.data + start * dim + head * d, dim, m: rows,
            n: d, k: tokens, beta: 0)
        }
      }
    }
  }

  /// x <- x + MLP(LN(x)), some rows at a time: the hidden layer is four times as wide.
  private func addMLP(to x: Tensor) throws(KernelError) {
    let normed = try norm2(x)
    let step = min(x.pixels, 4096)
    let buffer = try Tensor(1, step, hidden.outputs)
    add(back.bias, to: x, into: x)
    for start in stride(from: 0, to: x.pixels, by: step) {
      let rows = min(step, x.pixels - start)
      hidden.run(normed, from: start, rows: rows, into: buffer)
      withExtendedLifetime(buffer) {
        ck_bias_gelu(buffer.data, hidden.bias, Int32(rows), Int32(hidden.outputs))
      }
      back.run(buffer, rows: rows, into: x, at: start, adding: true)
    }
  }
}
