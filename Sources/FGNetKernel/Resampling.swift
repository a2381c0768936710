internal import CKernels

/// (2h, 2w, c) <- relu(bilinear x 2 of (h, w, c) + skip).
func upsample(_ input: Tensor, adding skip: Tensor? = nil, relu: Bool = true) throws(KernelError) -> Tensor {
  let out = try Tensor(2 * input.height, 2 * input.width, input.channels)
  precondition(skip == nil || skip?.count == out.count)
  ck_upsample_add(
    input.data, skip?.data, out.data, Int32(input.height), Int32(input.width), Int32(input.channels), relu ? 1 : 0)
  return out
}

/// (h / 2, w / 2, c) <- 2 x 2 maximum.
func maximumPool(_ input: Tensor) throws(KernelError) -> Tensor {
  let out = try Tensor(input.height / 2, input.width / 2, input.channels)
  ck_max_pool(input.data, out.data, Int32(input.height), Int32(input.width), Int32(input.channels))
  return out
}

/// (h / 2, w / 2, c) <- 2 x 2 mean.
func averagePool(_ input: Tensor) throws(KernelError) -> Tensor {
  let out = try Tensor(input.height / 2, input.width / 2, input.channels)
  ck_average_pool(input.data, out.data, Int32(input.height), Int32(input.width), Int32(input.channels))
  return out
}
