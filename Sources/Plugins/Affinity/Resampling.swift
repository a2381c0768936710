internal import CKernels
internal import Domain

/// How the pixels of one axis become others that cover the same extent: output i is a weighted sum of neighbouring inputs.
///
/// Fewer outputs than inputs are averages over the area an output covers; more are interpolated. Inputs beyond the ends
/// count as the outermost one.
struct Resampling: Equatable {
  /// How values between inputs are found when an axis gets more pixels.
  enum Interpolation {
    /// Stays within the values that are there.
    case linear
    /// Catmull and Rom's cubic, sharper; may go a little beyond the values that are there.
    case cubic
  }

  /// What an input belongs to.
  enum Samples {
    /// The middle of a pixel.
    case pixels
    /// The lower border of a pixel, as the affinity to the pixel before has it. The first has no meaning and is not read.
    case borders
  }

  let inputs: Int
  let outputs: Int
  /// Weights of each output.
  let taps: Int
  /// The first input of each output.
  let starts: [Int32]
  /// (taps, outputs).
  let weights: [Float]

  /// - Precondition: both sizes are at least 1.
  init(
    from inputs: Int, to outputs: Int, _ samples: Samples = .pixels, enlarging interpolation: Interpolation = .linear
  ) {
    precondition(inputs > 0 && outputs > 0, "an axis of \(inputs) pixels to be \(outputs)")
    self.inputs = inputs
    self.outputs = outputs
    let kernels = (0..<outputs).map { Self.kernel($0, inputs, outputs, samples, interpolation) }
    let taps = kernels.reduce(1) { max($0, $1.weights.count) }
    var starts: [Int32] = []
    var weights = [Float](repeating: 0, count: taps * outputs)
    for (output, kernel) in kernels.enumerated() {
      let start = min(kernel.first, inputs - taps)
      starts.append(Int32(start))
      let total = kernel.weights.reduce(0, +)
      for (index, weight) in kernel.weights.enumerated() {
        weights[(kernel.first - start + index) * outputs + output] = Float(weight / total)
      }
    }
    self.taps = taps
    self.starts = starts
    self.weights = weights
  }

  /// The inputs of an output and their weights, not yet of sum 1.
  private static func kernel(
    _ output: Int, _ inputs: Int, _ outputs: Int, _ samples: Samples, _ interpolation: Interpolation
  ) -> (first: Int, weights: [Double]) {
    if inputs == outputs { return (output, [1]) }
    let ratio = Double(inputs) / Double(outputs)
    let last = inputs - 1
    // Input k lies at k.
    let position: Double
    let first: Int
    switch samples {
    case .pixels: (position, first) = ((Double(output) + 0.5) * ratio - 0.5, 0)
    case .borders: (position, first) = (Double(output) * ratio, min(1, last))
    }
    if ratio > 1 { return area(position, ratio, first...last) }
    let base = Int(position.rounded(.down))
    let t = position - Double(base)
    switch interpolation {
    case .linear: return clamped(base, [1 - t, t], first...last)
    case .cubic:
      let weights = [
        ((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
      ]
      return clamped(base - 1, weights, first...last)
    }
  }

  /// Overlaps of the inputs with a box as wide as `width` inputs.
  private static func area(
    _ position: Double, _ width: Double, _ range: ClosedRange<Int>
  ) -> (first: Int, weights: [Double]) {
    let (low, high) = (position - width / 2, position + width / 2)
    let first = min(max(Int((low + 0.5).rounded(.down)), range.lowerBound), range.upperBound)
    let last = min(max(Int((high + 0.5).rounded(.up)) - 1, first), range.upperBound)
    let weights = (first...last).map { min(high, Double($0) + 0.5) - max(low, Double($0) - 0.5) }
    // A border before the first that has a meaning.
    return weights.contains { $0 > 0 } ? (first, weights.map { max($0, 0) }) : (first, [1])
  }

  /// Adds the weights of inputs that are not there to the outermost ones.
  private static func clamped(
    _ start: Int, _ weights: [Double], _ range: ClosedRange<Int>
  ) -> (first: Int, weights: [Double]) {
    func inside(_ index: Int) -> Int { min(max(index, range.lowerBound), range.upperBound) }
    let first = inside(start)
    var result = [Double](repeating: 0, count: inside(start + weights.count - 1) - first + 1)
    for (index, weight) in weights.enumerated() { result[inside(start + index) - first] += weight }
    return (first, result)
  }
}

extension Resampling {
  /// (y.outputs, x.outputs) <- values (y.inputs, x.inputs).
  /// - Throws: a sentence when there is no memory.
  static func plane(_ values: [Float], _ y: Resampling, _ x: Resampling, stage: String) throws(StageError) -> [Float] {
    precondition(values.count == y.inputs * x.inputs, "\(values.count) pixels for \(y.inputs) x \(x.inputs)")
    var status: Int32 = 0
    let out = [Float](unsafeUninitializedCapacity: y.outputs * x.outputs) { buffer, count in
      status = y.withKernel { y in x.withKernel { x in post_resample(values, buffer.baseAddress, &y, &x) } }
      count = status == 0 ? buffer.count : 0
    }
    guard status == 0 else { throw StageError.memory(stage, height: y.outputs, width: x.outputs) }
    return out
  }

  private func withKernel(_ body: (inout post_resampling) -> Int32) -> Int32 {
    starts.withUnsafeBufferPointer { starts in
      weights.withUnsafeBufferPointer { weights in
        var kernel = post_resampling(
          inputs: inputs, outputs: outputs, taps: taps, start: starts.baseAddress, weights: weights.baseAddress)
        return body(&kernel)
      }
    }
  }
}
