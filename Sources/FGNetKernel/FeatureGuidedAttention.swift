internal import CKernels

/// FGA of docs/model.md: the coarse branch's features gate what is added to the fine ones.
final class FeatureGuidedAttention {
  private let key: String
  private let packed: Tensor
  private let gate: [Float]
  private let gateBias: Float
  private let gamma: [Float]
  private let fine: Int
  private let guide: Int
  private let meter: Meter

  init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.meter = meter
    gamma = try weights("\(key).gamma")
    gate = try weights("\(key).gate.weight")
    gateBias = try weights("\(key).gate.bias")[0]
    fine = gamma.count
    let inputs = weights.shape("\(key).query.weight")[1]
    guide = inputs - 1 - fine
    // One matrix for all three: query sees [fine; guide; unsure], channel and value have a zero for the last.
    var matrix = try weights("\(key).query.weight")
    var bias = try weights("\(key).query.bias")
    for part in ["channel", "value"] {
      let rows = try weights("\(key).\(part).weight")
      for start in stride(from: 0, to: rows.count, by: inputs - 1) {
        matrix += rows[start..<start + inputs - 1] + [0]
      }
      bias += try weights("\(key).\(part).bias")
    }
    packed = try Tensor(1, 1, ck_conv_packed_size(Int32(bias.count), Int32(inputs), 1, 1, 1))
    ck_conv_pack(matrix, bias, Int32(bias.count), Int32(inputs), 1, 1, 1, packed.data)
  }

  /// out (h, w, f) <- fine (h, w, f), guide (h, w, g), unsure (h, w, 1).
  func callAsFunction(_ features: Tensor, guide guides: Tensor, unsure: Tensor) throws(KernelError) -> Tensor {
    precondition(features.channels == fine && guides.channels == guide && guides.pixels == features.pixels)
    precondition(unsure.count == features.pixels)
    let out = try Tensor(features.height, features.width, fine)
    gate.withUnsafeBufferPointer { gate in
      gamma.withUnsafeBufferPointer { gamma in
        var call = ck_fga(
          fine: features.data, guide: guides.data, unsure: unsure.data, packed: packed.data, gate: gate.baseAddress,
          gate_bias: gateBias, gamma: gamma.baseAddress, out: out.data, h: Int32(out.height), w: Int32(out.width),
          f: Int32(fine), g: Int32(guide), q: Int32(gate.count))
        let operations = out.pixels * (gate.count * (fine + guide + 2) + 2 * fine * (fine + guide))
        meter.measure("\(key) \(fine)+\(guide) at \(out.height)x\(out.width)", operations) { ck_fga(&call) }
      }
    }
    meter.report(key, out)
    return out
  }
}
