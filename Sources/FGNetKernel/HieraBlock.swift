internal import CKernels

/// One transformer block of Hiera. Ports sam2/modeling/backbones/hieradet.py (MultiScaleBlock) @2b90b9f.
final class HieraBlock {
  private let key: String
  private let shape: Architecture.Trunk.Block
  private let norm: LayerNorm
  private let qkv: Linear
  /// What a token outside the section has for q, k, v.
  private let bias: Tensor
  private let attentionProjection: Linear
  private let mlp: MLP
  private let projection: Linear?
  private let meter: Meter

  init(_ key: String, _ shape: Architecture.Trunk.Block, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.shape = shape
    self.meter = meter
    norm = try LayerNorm("\(key).norm1", weights)
    qkv = try Linear("\(key).attn.qkv", weights, meter)
    let values = try weights("\(key).attn.qkv.bias")
    bias = try Tensor(1, 1, values.count, values)
    attentionProjection = try Linear("\(key).attn.proj", weights, meter)
    mlp = try MLP("\(key).mlp", norm: LayerNorm("\(key).norm2", weights), weights, meter)
    projection = shape.dim == shape.dimOut ? nil : try Linear("\(key).proj", weights, meter)
  }

  /// (h, w, dimOut) <- (h, w, dim), or half of h and w where the block pools.
  func callAsFunction(_ tokens: Tensor) throws(KernelError) -> Tensor {
    let out = shape.window > 0 ? try byWindows(tokens) : try overAll(tokens)
    meter.report(key, out)
    return out
  }

  private func byWindows(_ tokens: Tensor) throws(KernelError) -> Tensor {
    precondition((projection != nil) == (shape.dim != shape.dimOut) && (projection != nil || !shape.pooled))
    let scale = shape.pooled ? 2 : 1
    let out = try Tensor(tokens.height / scale, tokens.width / scale, shape.dimOut)
    var operations = tokens.pixels * shape.dim * 3 * shape.dimOut + out.pixels * shape.dimOut * shape.dimOut
    operations += shape.attentionOperations(rows: tokens.height, columns: tokens.width)
    operations += mlp.operations(rows: out.pixels)
    if projection != nil { operations += tokens.pixels * shape.dim * shape.dimOut }
    let what = "\(key) \(shape.dim)->\(shape.dimOut), windows of \(shape.window) at \(tokens.height)x\(tokens.width)"
    meter.measure(what, operations) {
      withExtendedLifetime((self, tokens, out)) {
        var call = ck_window_block(
          in: tokens.data, norm_weight: norm.weight, norm_bias: norm.bias, packed_qkv: qkv.packedWeights,
          qkv_bias: bias.data, packed_projection: attentionProjection.packedWeights,
          packed_shortcut: projection?.packedWeights, mlp: mlp.call, out: out.data, h: Int32(tokens.height),
          w: Int32(tokens.width), c: Int32(shape.dim), heads: Int32(shape.heads), d: Int32(shape.dimOut / shape.heads),
          window: Int32(shape.window), pooled: shape.pooled ? 1 : 0, together: 0)
        ck_window_block(&call)
      }
    }
    return out
  }

  /// Attention of every token to every token; such blocks keep size and width.
  private func overAll(_ tokens: Tensor) throws(KernelError) -> Tensor {
    precondition(projection == nil && !shape.pooled)
    let combined = try qkv(tokens, norm: norm)
    let mixed = try Tensor(tokens.height, tokens.width, shape.dimOut)
    let operations = shape.attentionOperations(rows: tokens.height, columns: tokens.width)
    let status = meter.measure("\(key).attn all tokens at \(tokens.height)x\(tokens.width)", operations) {
      withExtendedLifetime((combined, mixed)) {
        var call = ck_attention(
          qkv: combined.data, bias: bias.data, out: mixed.data, h: Int32(combined.height), w: Int32(combined.width),
          heads: Int32(shape.heads), d: Int32(shape.dimOut / shape.heads), window: 0, pooled: 0)
        return ck_attend(&call)
      }
    }
    guard status == 0 else { throw .outOfMemory(bytes: 2 * combined.bytes) }
    let out = try attentionProjection(mixed, residual: tokens)
    mlp.update(out)
    return out
  }
}
