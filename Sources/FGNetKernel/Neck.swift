/// The feature pyramid of SAM2's image encoder. Ports sam2/modeling/backbones/image_encoder.py (FpnNeck) @2b90b9f.
final class Neck {
  private let shape: ImageEncoderArchitecture.Neck
  /// 1 x 1 convolutions, coarse to fine.
  private let convolutions: [Linear]
  private let meter: Meter

  init(_ shape: ImageEncoderArchitecture.Neck, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.shape = shape
    self.meter = meter
    var convolutions: [Linear] = []
    for index in 0..<4 { convolutions.append(try Linear("neck.convs.\(index).conv", weights, meter)) }
    self.convolutions = convolutions
  }

  /// Maps of `d_model` channels <- the trunk's, both at strides 4, 8, 16, 32.
  func callAsFunction(_ levels: [Tensor]) throws(KernelError) -> [Tensor] {
    precondition(levels.count == convolutions.count)
    var outputs: [Tensor] = []
    for (convolution, level) in zip(convolutions, (0..<levels.count).reversed()) {
      let out = try convolution(levels[level])
      if let coarser = outputs.first, shape.fpnTopDownLevels.contains(level) { add(repeated: coarser, to: out) }
      meter.report("neck.\(4 << level)", out)
      outputs.insert(out, at: 0)
    }
    return outputs
  }

  /// out (2h, 2w, c) <- out + (h, w, c), each pixel of which stands for four.
  private func add(repeated coarser: Tensor, to out: Tensor) {
    precondition(out.height == 2 * coarser.height && out.width == 2 * coarser.width)
    let channels = out.channels
    withExtendedLifetime((coarser, out)) {
      for y in 0..<out.height {
        for x in 0..<out.width {
          let from = coarser.data + (y / 2 * coarser.width + x / 2) * channels
          let to = out.data + (y * out.width + x) * channels
          for c in 0..<channels { to[c] += from[c] }
        }
      }
    }
  }
}
