internal import CKernels

/// A fully connected layer over rows. The bias is added by the caller, who can mostly do it on the way.
final class Linear {
  private let key: String
  let inputs: Int
  let outputs: Int
  /// As OpenBLAS takes it, or packed.
  private let weight: Tensor
  /// Our own kernel multiplies; OpenBLAS 0.3 has none for bfloat16 that takes float32.
  private let isPacked: Bool
  let bias: [Float]
  private let meter: Meter

  init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.meter = meter
    let shape = weights.shape("\(key).weight")
    outputs = shape[0]
    inputs = shape[1]
    let values = try weights("\(key).weight")
    isPacked = ck_isa() == Int32(CK_AVX512_BF16.rawValue)
    if isPacked {
      let (o, i) = (Int32(outputs), Int32(inputs))
      weight = try Tensor(1, 1, ck_conv_packed_size(o, i, 1, 1))
      ck_conv_pack(values, nil, o, i, 1, 1, weight.data)
    } else {
      weight = try Tensor(1, outputs, inputs, values)
    }
    bias = try weights("\(key).bias")
  }

  /// Rows [outRow...] of out (n, outputs) <- (adding ? out : 0) + rows [row...] of input (n, inputs) * weight; no bias.
  func run(
    _ input: Tensor, from row: Int = 0, rows: Int, into out: Tensor, at outRow: Int = 0, adding: Bool = false
  ) {
    precondition(row + rows <= input.count / inputs && outRow + rows <= out.count / outputs)
    meter.measure("\(key) \(inputs)->\(outputs) of \(rows)", rows * inputs * outputs) {
      let (from, to) = (input.data + row * inputs, out.data + outRow * outputs)
      if isPacked {
        ck_linear(from, weight.data, to, Int32(rows), Int32(inputs), Int32(outputs), adding ? 1 : 0)
      } else {
        multiply(
          from, inputs, weight.data, inputs, transposed: true, to, outputs, m: rows, n: outputs, k: inputs,
          beta: adding ? 1 : 0)
      }
    }
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
