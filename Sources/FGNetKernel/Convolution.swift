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
    let (o, i, z, side, step) = (Int32(outputs), Int32(inputs), Int32(planes), Int32(k), Int32(stride))
    packed = try Tensor(1, 1, ck_conv_packed_size(o, i, z, side, step))
    ck_conv_pack(weight, bias, o, i, z, side, step, packed.data)
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
    try self(stack.map { $0.map(Source.plain) }, residual: residual, relu: relu)
  }

  func callAsFunction(_ input: Tensor, residual: Tensor? = nil, relu: Bool = false) throws(KernelError) -> Tensor {
    try self(.plain(input), residual: residual, relu: relu)
  }

  func callAsFunction(_ input: Source, residual: Tensor? = nil, relu: Bool = false) throws(KernelError) -> Tensor {
    try self([input], residual: residual, relu: relu)
  }

  private func callAsFunction(_ stack: [Source?], residual: Tensor?, relu: Bool) throws(KernelError) -> Tensor {
    guard stack.count == planes, let centre = stack[planes / 2] else { preconditionFailure("\(key): no section") }
    let out = try Tensor((centre.height + stride - 1) / stride, (centre.width + stride - 1) / stride, outputs)
    if meter.traces {
      // A trace shows the convolution itself.
      run(stack, centre, nil, false, out)
      meter.report(key, out)
    }
    meter.measure("\(key) \(description(out))", operations(out, planes: stack.count { $0 != nil })) {
      run(stack, centre, residual, relu, out)
    }
    return out
  }

  /// Multiply-adds for a map of the size of `out`.
  func operations(_ out: Tensor, planes: Int) -> Int { out.pixels * outputs * inputs * k * k * planes }

  private func description(_ out: Tensor) -> String {
    "\(planes)x\(k)x\(k) \(inputs)->\(outputs) at \(out.height)x\(out.width)" + (stride > 1 ? " stride \(stride)" : "")
  }

  private func run(_ stack: [Source?], _ centre: Source, _ residual: Tensor?, _ relu: Bool, _ out: Tensor) {
    withExtendedLifetime((stack, residual, out)) {
      var call = call(on: centre, relu: relu)
      func plane(_ index: Int) -> UnsafePointer<Float>? {
        index < stack.count ? stack[index].map { UnsafePointer($0.map.data) } : nil
      }
      call.in = (plane(0), plane(1), plane(2))
      call.residual = residual.map { UnsafePointer($0.data) }
      call.out = out.data
      ck_conv(&call)
    }
  }

  /// The kernel's arguments for one plane, without residual and output. The caller keeps the tensors alive.
  func call(on source: Source, relu: Bool) -> ck_conv {
    precondition(source.channels == inputs, "\(key) takes \(inputs) channels")
    return ck_conv(
      in: (UnsafePointer(source.map.data), nil, nil), form: Int32(source.form.rawValue),
      skip: source.skip.map { UnsafePointer($0.data) }, packed: packed.data, residual: nil, out: nil,
      planes: Int32(planes), k: Int32(k), stride: Int32(stride), in_h: Int32(source.height), in_w: Int32(source.width),
      in_c: Int32(inputs), out_h: Int32((source.height + stride - 1) / stride),
      out_w: Int32((source.width + stride - 1) / stride), out_c: Int32(outputs), relu: relu ? 1 : 0)
  }
  /// The weights as the kernel takes them; valid while the convolution is.
  var packedWeights: UnsafePointer<Float> { UnsafePointer(packed.data) }
}
