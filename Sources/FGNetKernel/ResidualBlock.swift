/// RS of docs/model.md: a = relu(conv0(x)), out = relu(a + conv1(a)), the second over one or three sections. The two
/// halves are separate, because the second needs the first of the neighbouring sections.
final class ResidualBlock {
  private let key: String
  private let conv0: Convolution
  private let conv1: Convolution
  private let meter: Meter

  init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.meter = meter
    conv0 = try Convolution("\(key).conv0", weights, meter)
    conv1 = try Convolution("\(key).conv1", weights, meter)
  }

  func first(_ input: Tensor) throws(KernelError) -> Tensor { try conv0(input, relu: true) }

  /// - Parameter stack: `first` of the section below, of the section, of the section above.
  func second(_ stack: [Tensor?]) throws(KernelError) -> Tensor {
    let out = try conv1(stack, residual: stack[stack.count / 2], relu: true)
    meter.report(key, out)
    return out
  }

  /// Both halves of a block that sees one section only.
  func callAsFunction(_ input: Tensor) throws(KernelError) -> Tensor { try second([first(input)]) }
}
