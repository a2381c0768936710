internal import CKernels

/// A fully connected layer over rows. The bias is added by the caller, who can mostly do it on the way.
final class Linear {
  let inputs: Int
  let outputs: Int
  private let weight: Tensor
  let bias: [Float]
  private let meter: Meter

  init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.meter = meter
    let shape = weights.shape("\(key).weight")
    outputs = shape[0]
    inputs = shape[1]
    weight = try Tensor(1, outputs, inputs, weights("\(key).weight"))
    bias = try weights("\(key).bias")
  }

  /// Rows [outRow...] of out (n, outputs) <- (adding ? out : 0) + rows [row...] of input (n, inputs) * weight; no bias.
  func run(
    _ input: Tensor, from row: Int = 0, rows: Int, into out: Tensor, at outRow: Int = 0, adding: Bool = false
  ) {
    precondition(row + rows <= input.count / inputs && outRow + rows <= out.count / outputs)
    multiply(
      input.data + row * inputs, inputs, weight.data, inputs, transposed: true, out.data + outRow * outputs, outputs,
      m: rows, n: outputs, k: inputs, beta: adding ? 1 : 0)
    meter.count(rows * inputs * outputs)
  }
}

/// LayerNorm over channels, epsilon 1e-6.
struct LayerNorm {
  private let weight: [Float]
  private let bias: [Float]

  init(_ key: String, _ weights: Weights) throws(KernelError) {
    weight = try weights("\(key).weight")
    bias = try weights("\(key).bias")
  }

  func callAsFunction(_ input: Tensor) throws(KernelError) -> Tensor {
    let out = try Tensor(input.height, input.width, input.channels)
    ck_layer_norm(input.data, weight, bias, out.data, Int32(input.pixels), Int32(input.channels), 1e-6)
    return out
  }
}
