internal import CKernels

/// A map of one section: (height, width, channels) float32, channels fastest, 64-byte aligned, uninitialised when made.
///
/// A class, because planes are shared by the memo and by the layers that still need them; written only by its maker.
/// `data` does not keep the tensor alive: take it from a parameter, or from a local variable inside
/// `withExtendedLifetime`.
final class Tensor {
  let height: Int
  let width: Int
  let channels: Int
  let data: UnsafeMutablePointer<Float>

  var count: Int { height * width * channels }
  /// Rows of `channels` numbers.
  var pixels: Int { height * width }
  var bytes: Int { count * MemoryLayout<Float>.stride }
  var values: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: data, count: count) }

  init(_ height: Int, _ width: Int, _ channels: Int) throws(KernelError) {
    guard let memory = ck_allocate(height * width * channels) else {
      throw .outOfMemory(bytes: height * width * channels * MemoryLayout<Float>.stride)
    }
    self.height = height
    self.width = width
    self.channels = channels
    data = memory
  }

  convenience init(_ height: Int, _ width: Int, _ channels: Int, _ elements: [Float]) throws(KernelError) {
    precondition(elements.count == height * width * channels)
    try self.init(height, width, channels)
    _ = values.initialize(from: elements)
  }

  /// (rows, columns, channels): a copy of a part.
  func cropped(rows: Range<Int>, columns: Range<Int>) throws(KernelError) -> Tensor {
    precondition(rows.upperBound <= height && columns.upperBound <= width)
    let out = try Tensor(rows.count, columns.count, channels)
    for (y, row) in rows.enumerated() {
      let from = data + (row * width + columns.lowerBound) * channels
      (out.data + y * out.width * channels).update(from: from, count: out.width * channels)
    }
    return out
  }

  /// A copy of all elements.
  func array() -> [Float] { Array(values) }

  deinit { ck_free(data) }
}
