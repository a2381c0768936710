internal import CKernels

/// A planes x k x k convolution with bias, zero padding k / 2.
final class Convolution {
  let key: String
  let inputs: Int
  let outputs: Int
  let planes: Int
  let k: Int
  let stride: Int
  private let packed: Tensor
  private let meter: Meter

  /// - Parameter weight: (outputs, inputs, planes, k, k), row-major.
  init(
    key: String, weight: [Float], bias: [Float], inputs: Int, planes: Int, k: Int, stride: Int = 1, meter: Meter
  ) throws(KernelError) {
    self.key = key
    self.inputs = inputs
    outputs = bias.count
    self.planes = planes
    self.k = k
    self.stride = stride
    self.meter = meter
    precondition(weight.count == bias.count * inputs * planes * k * k && (planes == 1 || planes == 3) && k % 2 == 1)
    let (o, i, z, side) = (Int32(outputs), Int32(inputs), Int32(planes), Int32(k))
    packed = try Tensor(1, 1, ck_conv_packed_size(o, i, z, side))
    ck_conv_pack(weight, bias, o, i, z, side, packed.data)
  }

  convenience init(_ key: String, _ weights: Weights, _ meter: Meter) throws(KernelError) {
    let shape = weights.shape("\(key).weight")
    try self.init(
      key: key, weight: weights("\(key).weight"), bias: weights("\(key).bias"), inputs: shape[1], planes: shape[2],
      k: shape[3], meter: meter)
  }

  /// out (ceil(h / stride), ceil(w / stride), outputs) <- relu(convolution(planes of (h, w, inputs)) + residual).
  /// - Parameter stack: the planes below, at and above; nil is a section that the stack does not have.
  func callAsFunction(_ stack: [Tensor?], residual: Tensor? = nil, relu: Bool = false) throws(KernelError) -> Tensor {
    let centre = stack[planes / 2]
    guard stack.count == planes, let centre, centre.channels == inputs else {
      preconditionFailure("\(key) takes \(planes) planes of \(inputs) channels")
    }
    let out = try Tensor((centre.height + stride - 1) / stride, (centre.width + stride - 1) / stride, outputs)
    if meter.traces {
      // A trace shows the convolution itself.
      run(stack, centre, nil, false, out)
      meter.report(key, out)
    }
    meter.measure("\(key) \(description(out))", out.count * inputs * k * k * stack.count { $0 != nil }) {
      run(stack, centre, residual, relu, out)
    }
    return out
  }

  func callAsFunction(_ input: Tensor, residual: Tensor? = nil, relu: Bool = false) throws(KernelError) -> Tensor {
    try self([input], residual: residual, relu: relu)
  }

  private func description(_ out: Tensor) -> String {
    "\(planes)x\(k)x\(k) \(inputs)->\(outputs) at \(out.height)x\(out.width)" + (stride > 1 ? " stride \(stride)" : "")
  }

  private func run(_ stack: [Tensor?], _ centre: Tensor, _ residual: Tensor?, _ relu: Bool, _ out: Tensor) {
    func plane(_ index: Int) -> UnsafePointer<Float>? {
      index < stack.count ? stack[index].map { UnsafePointer($0.data) } : nil
    }
    var call = ck_conv(
      in: (plane(0), plane(1), plane(2)), packed: packed.data, residual: residual.map { UnsafePointer($0.data) },
      out: out.data, planes: Int32(planes), k: Int32(k), stride: Int32(stride), in_h: Int32(centre.height),
      in_w: Int32(centre.width), in_c: Int32(inputs), out_h: Int32(out.height), out_w: Int32(out.width),
      out_c: Int32(outputs), relu: relu ? 1 : 0)
    withExtendedLifetime((stack, residual)) { ck_conv(&call) }
  }
}
