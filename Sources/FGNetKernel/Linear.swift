internal import CKernels

/// A fully connected layer over rows, in one pass: LayerNorm before it, bias and residual after it.
final class Linear {
  let key: String
  let inputs: Int
  let outputs: Int
  private let packed: Tensor
  private let meter: Meter

  init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.meter = meter
    let shape = weights.shape("\(key).weight")
    outputs = shape[0]
    inputs = shape[1]
    let (o, i) = (Int32(outputs), Int32(inputs))
    packed = try Tensor(1, 1, ck_conv_packed_size(o, i, 1, 1, 1))
    ck_conv_pack(try weights("\(key).weight"), try weights("\(key).bias"), o, i, 1, 1, 1, packed.data)
  }

  /// (h, w, outputs) <- (h, w, inputs), through `norm` first, plus `residual` (h, w, outputs).
  func callAsFunction(_ input: Tensor, norm: LayerNorm? = nil, residual: Tensor? = nil) throws(KernelError) -> Tensor {
    precondition(input.channels == inputs && (residual.map { $0.channels == outputs } ?? true))
    let out = try Tensor(input.height, input.width, outputs)
    meter.measure("\(key) \(inputs)->\(outputs) of \(out.pixels)", out.pixels * inputs * outputs) {
      withExtendedLifetime((input, norm, residual)) {
        var call = ck_linear(
          in: input.data, norm_weight: norm?.weight, norm_bias: norm?.bias, packed: packed.data,
          residual: residual.map { UnsafePointer($0.data) }, out: out.data, in_c: Int32(inputs), out_c: Int32(outputs))
        ck_linear(&call, Int32(out.pixels))
      }
    }
    return out
  }

  /// The weights as the kernels take them; valid while the layer is.
  var packedWeights: UnsafePointer<Float> { UnsafePointer(packed.data) }
}

/// LayerNorm over channels, epsilon 1e-6; computed on the way into a linear layer.
final class LayerNorm {
  private let values: Tensor
  private let channels: Int
  /// (channels), valid while the object is.
  var weight: UnsafePointer<Float> { UnsafePointer(values.data) }
  var bias: UnsafePointer<Float> { UnsafePointer(values.data + channels) }

  init(_ key: String, _ weights: Weights) throws(KernelError) {
    let weight = try weights("\(key).weight")
    channels = weight.count
    values = try Tensor(1, 2, channels, weight + weights("\(key).bias"))
  }
}

/// The second half of a transformer block: x + back(gelu(hidden(norm(x)))).
final class MLP {
  private let norm: LayerNorm
  private let hidden: Linear
  private let back: Linear
  private let meter: Meter

  init(_ key: String, norm: LayerNorm, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.norm = norm
    self.meter = meter
    hidden = try Linear("\(key).layers.0", weights, meter)
    back = try Linear("\(key).layers.1", weights, meter)
  }

  /// x (h, w, c), in place.
  func update(_ x: Tensor) {
    precondition(x.channels == hidden.inputs)
    let what = "\(hidden.key) \(hidden.inputs)->\(hidden.outputs)->\(back.outputs) of \(x.pixels)"
    meter.measure(what, operations(rows: x.pixels)) {
      withExtendedLifetime((self, x)) {
        var call = call
        call.in = UnsafePointer(x.data)
        call.out = x.data
        ck_mlp(&call, Int32(x.pixels))
      }
    }
  }

  func operations(rows: Int) -> Int { 2 * rows * hidden.inputs * hidden.outputs }

  /// The kernel's arguments but input and output; valid while the object is.
  var call: ck_mlp {
    precondition(hidden.outputs == back.inputs && back.outputs == hidden.inputs)
    return ck_mlp(
      in: nil, norm_weight: norm.weight, norm_bias: norm.bias, packed_hidden: hidden.packedWeights,
      packed_back: back.packedWeights, out: nil, c: Int32(hidden.inputs), hidden: Int32(hidden.outputs))
  }
}
