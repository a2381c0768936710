internal import CKernels

/// RS of docs/model.md: a = relu(conv0(x)), out = relu(a + conv1(a)), the second over one or three sections. Over three,
/// the two halves are separate, because the second needs the first of the neighbouring sections; over one they are
/// computed together, row by row.
final class ResidualBlock {
  private let key: String
  private let conv0: Convolution
  private let conv1: Convolution
  private let meter: Meter

  convenience init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    try self.init(key, "\(key).conv0", "\(key).conv1", weights, meter)
  }

  init(_ key: String, _ conv0: String, _ conv1: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    self.key = key
    self.meter = meter
    self.conv0 = try Convolution(conv0, weights, meter)
    self.conv1 = try Convolution(conv1, weights, meter)
  }

  func first(_ input: Source) throws(KernelError) -> Tensor { try conv0(input, relu: true) }

  /// - Parameter stack: `first` of the section below, of the section, of the section above.
  func second(_ stack: [Tensor?]) throws(KernelError) -> Tensor {
    let out = try conv1(stack, residual: stack[stack.count / 2], relu: true)
    meter.report(key, out)
    return out
  }

  /// Both halves of a block that sees one section only.
  func callAsFunction(_ input: Source) throws(KernelError) -> Tensor {
    if meter.traces { return try second([first(input)]) }
    let out = try Tensor(input.height, input.width, conv1.outputs)
    run(input, out, head: nil, nil)
    return out
  }

  /// The block, then a 1 x 1 convolution of its output, which is not kept.
  func callAsFunction(_ input: Source, head: Convolution) throws(KernelError) -> Tensor {
    if meter.traces { return try head(second([first(input)])) }
    let out = try Tensor(input.height, input.width, head.outputs)
    run(input, nil, head: head, out)
    return out
  }

  private func run(_ input: Source, _ out: Tensor?, head: Convolution?, _ headOut: Tensor?) {
    precondition(conv0.planes == 1 && conv1.planes == 1 && conv0.stride == 1 && conv1.stride == 1)
    precondition(head.map { $0.inputs == conv1.outputs && $0.planes == 1 && $0.k == 1 && $0.stride == 1 } ?? true)
    guard let size = out ?? headOut else { preconditionFailure("\(key) has nothing to write") }
    var operations = conv0.operations(size, planes: 1) + conv1.operations(size, planes: 1)
    if let head { operations += head.operations(size, planes: 1) }
    let widths = [conv0.inputs, conv0.outputs, conv1.outputs] + (head.map { [$0.outputs] } ?? [])
    let what = "\(key) " + widths.map(String.init).joined(separator: "->") + " at \(size.height)x\(size.width)"
    meter.measure(what, operations) {
      withExtendedLifetime((input, out, headOut)) {
        var call = ck_block()
        call.first = conv0.call(on: input, relu: true)
        call.second = call.first
        call.second.in = (nil, nil, nil)
        call.second.form = Int32(CK_PLAIN.rawValue)
        call.second.skip = nil
        call.second.packed = conv1.packedWeights
        call.second.k = Int32(conv1.k)
        call.second.in_c = Int32(conv1.inputs)
        call.second.out_c = Int32(conv1.outputs)
        call.second.out = out?.data
        call.head_packed = head?.packedWeights
        call.head = headOut?.data
        call.head_c = Int32(head?.outputs ?? 0)
        ck_conv_block(&call)
      }
    }
    if let out { meter.report(key, out) }
  }
}
