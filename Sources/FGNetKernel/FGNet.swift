internal import CKernels

/// The network of docs/model.md, evaluated section by section. Every layer's output is kept as long as a later section
/// can need it, by the keys of the sections it was computed from, so that in a stack that grows at its end nothing is
/// computed twice, and the result for a section is a function of the sections within the context radius alone, bit for
/// bit.
///
/// Not reentrant: one thread at a time.
public final class FGNet {
  /// Changes when the same weights may give other results.
  public static let kernelVersion = "2"

  public let architecture: Architecture
  public let precision: Precision
  /// Bytes that may stay in memory for sections that are not in the stack of the last evaluation (other tiles, for
  /// example).
  public var memoryLimit = 1 << 30
  private let modules: Modules
  private let meter = Meter()
  private var memo = LayerMemo()

  /// - Parameter path: a weights file.
  /// - Throws: `unreadableWeights`, `unknownFormat`, `badArchitecture`, `mismatchedWeights`, `notFinite`, all naming
  ///   the file.
  /// - Precondition: the precision is supported.
  public convenience init(path: String, precision: Precision = .float32) throws(KernelError) {
    let file = try WeightsFile(path: path)
    try self.init(architecture: file.architecture, weights: file, precision: precision)
  }

  /// - Throws: `badArchitecture`, `mismatchedWeights`, `notFinite`.
  /// - Precondition: the precision is supported.
  public init(
    architecture: Architecture, weights: any WeightsSource, precision: Precision = .float32
  ) throws(KernelError) {
    try architecture.validate(source: weights.name)
    self.architecture = architecture
    self.precision = precision
    let meter = meter
    modules = try precision.inUse { () throws(KernelError) in try Modules(architecture, weights, meter) }
  }

  deinit { ck_release_kept() }

  /// Multiply-adds done so far.
  public var operationsDone: Int { meter.operations }
  /// Bytes of kept layers.
  public var memoryInUse: Int { memo.bytes }
  /// Sections on each side that a result depends on.
  public var contextRadius: Int { architecture.contextRadius }

  /// Called with a module's key, the place of the stack, and the output; for parity tests.
  var trace: ((String, Int, Tensor) -> Void)? {
    get { meter.trace }
    set { meter.trace = newValue }
  }

  /// Called with what was computed, its multiply-adds, and the time it took; for benchmarks.
  package var profile: ((String, Int, Duration) -> Void)? {
    get { meter.profile }
    set { meter.profile = newValue }
  }

  /// The affinities of `stack[index]`, at the size of the section.
  /// - Parameter stack: sections in z order; at least those within the context radius that exist.
  /// - Throws: `KernelError`, or what a section's `image` throws. The memo stays usable.
  public func evaluate(index: Int, stack: [StackPlane]) throws -> Prediction {
    let maps = try maps(index: index, stack: stack) { plane throws(KernelError) in try self.prepared(plane) }
    var refined: [FloatPlane] = []
    var coarse: [FloatPlane] = []
    for channel in 0..<3 {
      refined.append(try plane(maps.refined, channel, maps.height, maps.width, stack[index].key))
      coarse.append(try plane(maps.coarse, channel, (maps.height + 1) / 2, (maps.width + 1) / 2, stack[index].key))
    }
    return Prediction(refined: refined, coarse: coarse)
  }

  private func plane(
    _ logits: Tensor, _ channel: Int, _ height: Int, _ width: Int, _ key: String
  ) throws(KernelError) -> FloatPlane {
    let values = [Float](unsafeUninitializedCapacity: height * width) { buffer, count in
      ck_sigmoid_plane(
        logits.data, Int32(logits.width), Int32(logits.channels), Int32(channel), buffer.baseAddress, Int32(height),
        Int32(width))
      count = height * width
    }
    guard ck_all_finite(values, values.count) == 1 else {
      throw .notFinite(what: "the network's output for section \(key)")
    }
    return FloatPlane(height: height, width: width, values: values)
  }

  /// The normalised section, padded by reflection to multiples of the alignment; nil when a pixel is no number.
  private func prepared(_ plane: FloatPlane) throws(KernelError) -> Tensor? {
    guard let normalisation = Normalisation(plane.values) else { return nil }
    let alignment = architecture.alignment
    func padded(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }
    let out = try Tensor(padded(plane.height), padded(plane.width), 1)
    let columns = (0..<out.width).map { reflected($0, plane.width) }
    let (mean, scale) = (Float(normalisation.mean), normalisation.scale)
    plane.values.withUnsafeBufferPointer { pixels in
      for y in 0..<out.height {
        let row = reflected(y, plane.height) * plane.width
        let to = out.data + y * out.width
        for x in 0..<out.width { to[x] = (pixels[row + columns[x]] - mean) * scale }
      }
    }
    return out
  }
}

// MARK: - Evaluation

extension FGNet {
  /// A layer at a place of the stack.
  private struct Step: Hashable {
    var layer: Layer
    var place: Int
  }

  struct Maps {
    var refined: Tensor
    var coarse: Tensor
    var height: Int
    var width: Int
  }

  /// Logits of `stack[index]`, padded.
  /// - Parameter prepare: the network's input from an image, nil when there is none.
  func maps(index: Int, stack: [StackPlane], prepare: (FloatPlane) throws -> Tensor?) throws -> Maps {
    try precision.inUse { try evaluated(index, stack, prepare) }
  }

  private func evaluated(
    _ index: Int, _ stack: [StackPlane], _ prepare: (FloatPlane) throws -> Tensor?
  ) throws -> Maps {
    precondition(stack.indices.contains(index), "section \(index) of a stack of \(stack.count)")
    // Sections from here on can still get neighbours; results above it are provisional and push nothing out.
    let final = min(index, stack.count - 1 - contextRadius)
    defer { trim(stack, index, final) }
    let steps = plan(index, stack)
    let coarseKey = key(Step(layer: .coarse, place: index), stack)
    // Counted by key, not by place: equal sections share their layers.
    var readers: [LayerMemo.Key: Int] = [:]
    for step in steps { for input in inputs(of: step, stack.count) { readers[key(input, stack), default: 0] += 1 } }
    readers[coarseKey, default: 0] += 1
    var result: LayerMemo.Value?
    for step in steps {
      let own = key(step, stack)
      if !memo.contains(own) {
        let value = try evaluate(step, stack, prepare)
        if step.layer == .output { result = value } else { memo.insert(value, for: own) }
      }
      for input in inputs(of: step, stack.count) {
        let read = key(input, stack)
        readers[read, default: 0] -= 1
        if readers[read] == 0 && input.place < input.layer.firstPlaceNeeded(after: final) { memo.remove(read) }
      }
    }
    let coarse = memo.take(coarseKey)
    guard let result, let coarse else { preconditionFailure("section \(index) was not evaluated") }
    return Maps(refined: result.maps[0], coarse: coarse.maps[0], height: result.height, width: result.width)
  }

  /// What must be evaluated for the output at `index`: in the order a growing stack would do it, so that little is in
  /// memory at a time.
  private func plan(_ index: Int, _ stack: [StackPlane]) -> [Step] {
    var open = [Step(layer: .output, place: index)]
    var found: Set<Step> = Set(open)
    while let step = open.popLast() {
      for input in inputs(of: step, stack.count) where !found.contains(input) {
        if memo.contains(key(input, stack)) { continue }
        found.insert(input)
        open.append(input)
      }
    }
    return found.sorted { a, b in
      let (waveA, waveB) = (a.place - a.layer.reach, b.place - b.layer.reach)
      return (waveA, a.layer.rawValue, a.place) < (waveB, b.layer.rawValue, b.place)
    }
  }

  private func inputs(of step: Step, _ count: Int) -> [Step] {
    step.layer.inputs.flatMap { input -> [Step] in
      let places = input.neighbours ? max(step.place - 1, 0)...min(step.place + 1, count - 1) : step.place...step.place
      return places.map { Step(layer: input.layer, place: $0) }
    }
  }

  private func key(_ step: Step, _ stack: [StackPlane]) -> LayerMemo.Key {
    let radius = step.layer.radius
    let first = max(step.place - radius, 0)
    let sections = stack[first...min(step.place + radius, stack.count - 1)].map(\.key)
    return LayerMemo.Key(layer: step.layer, sections: sections, centre: step.place - first)
  }

  private func evaluate(
    _ step: Step, _ stack: [StackPlane], _ prepare: (FloatPlane) throws -> Tensor?
  ) throws -> LayerMemo.Value {
    meter.place = step.place
    if step.layer == .image {
      let image = try stack[step.place].image()
      guard image.height > 0 && image.width > 0 else {
        throw KernelError.badSection(key: stack[step.place].key, reason: "it has no pixels")
      }
      guard let input = try prepare(image) else {
        throw KernelError.notFinite(what: "section \(stack[step.place].key)")
      }
      return LayerMemo.Value(maps: [input], height: image.height, width: image.width)
    }
    var values: [Step: LayerMemo.Value] = [:]
    for input in inputs(of: step, stack.count) { values[input] = memo.take(key(input, stack)) }
    guard let own = values[Step(layer: step.layer.inputs[0].layer, place: step.place)] else {
      preconditionFailure("\(step.layer) at \(step.place) has no input")
    }
    for input in inputs(of: step, stack.count) {
      guard let value = values[input], value.height != own.height || value.width != own.width else { continue }
      throw KernelError.badSection(
        key: stack[input.place].key,
        reason: "it is \(value.height) x \(value.width), its neighbour is \(own.height) x \(own.width)")
    }
    let maps = try modules.evaluate(step.layer) { layer, shift in
      values[Step(layer: layer, place: step.place + shift)]?.maps
    }
    return LayerMemo.Value(maps: maps, height: own.height, width: own.width)
  }

  /// Drops what no later section of this stack can need. Looks at the stack around `index` only.
  private func trim(_ stack: [StackPlane], _ index: Int, _ final: Int) {
    let reach = 2 * contextRadius + 1
    let window = max(0, min(index, final) - reach)...min(stack.count - 1, index + reach)
    var needed: Set<LayerMemo.Key> = []
    for layer in Layer.allCases {
      for place in window where place >= layer.firstPlaceNeeded(after: final) {
        needed.insert(key(Step(layer: layer, place: place), stack))
      }
    }
    memo.trim(needed: needed, sections: Set(stack[window].map(\.key)), limit: memoryLimit)
  }
}
