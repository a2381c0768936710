internal import CKernels

/// The network of docs/model.md, evaluated section by section. Every layer's output is kept as long as a later section
/// can need it, by the keys of the sections it was computed from, so that in a stack that grows at its end nothing is
/// computed twice, and the result for a section is a function of the sections within the context radius alone, bit for
/// bit.
///
/// Not reentrant: one thread at a time.
public final class FGNet {
  /// Changes when the same weights may give other results.
  public static let kernelVersion = "4"

  public let architecture: Architecture
  public let precision: Precision
  /// Bytes that may stay in memory for sections that are not in the stack of the last evaluation (other tiles, for
  /// example).
  public var memoryLimit = 1 << 30
  /// What an evaluation may take; nil: whatever it needs. Sections that need more are evaluated by tiles, with the same
  /// result.
  public var budget: MemoryBudget?
  /// Layers of tiles are kept on disk, so far as they fit; nil: they are not kept.
  var scratch: LayerScratch?
  private let modules: Modules
  private let meter = Meter()
  private var memo = LayerMemo()
  /// Of the last stack that was evaluated by tiles, by key.
  var normalisations: [String: Normalisation] = [:]
  /// By the context there is.
  var models: [TilePlan.Context: MemoryModel] = [:]

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

  /// The affinities of `stack[index]`, at the size of the section; evaluated as a whole, whatever the budget.
  /// - Parameters:
  ///   - stack: sections in z order; at least those within the context radius that exist.
  ///   - coarse: whether A_s is wanted too.
  /// - Throws: `KernelError`, or what a section's `image` throws. The memo stays usable.
  public func evaluate(index: Int, stack: [StackPlane], coarse: Bool = false) throws -> Prediction {
    let maps = try maps(index: index, stack: stack, coarse: coarse) { plane throws(KernelError) in
      try self.prepared(plane)
    }
    return try prediction(maps, PixelWindow(height: maps.height, width: maps.width), stack[index].key)
  }

  /// What the maps say of a window of them that begins at even pixels.
  func prediction(_ maps: Maps, _ window: PixelWindow, _ key: String) throws(KernelError) -> Prediction {
    var prediction = Prediction(refined: try planes(maps.refined, window, key), coarse: [])
    if let coarse = maps.coarse { prediction.coarse = try planes(coarse, window.halved, key) }
    return prediction
  }

  /// Sigmoids of the direct channels in a window of logits.
  private func planes(_ logits: Tensor, _ window: PixelWindow, _ key: String) throws(KernelError) -> [FloatPlane] {
    var planes: [FloatPlane] = []
    for channel in 0..<3 { planes.append(try plane(logits, channel, window, key)) }
    return planes
  }

  private func plane(
    _ logits: Tensor, _ channel: Int, _ window: PixelWindow, _ key: String
  ) throws(KernelError) -> FloatPlane {
    let first = logits.data + (window.rows.lowerBound * logits.width + window.columns.lowerBound) * logits.channels
    let values = [Float](unsafeUninitializedCapacity: window.pixels) { buffer, count in
      ck_sigmoid_plane(
        first, Int32(logits.width), Int32(logits.channels), Int32(channel), buffer.baseAddress, Int32(window.height),
        Int32(window.width))
      count = window.pixels
    }
    guard ck_all_finite(values, values.count) == 1 else {
      throw .notFinite(what: "the network's output for section \(key)")
    }
    return FloatPlane(height: window.height, width: window.width, values: values)
  }

  /// The normalised section, padded by reflection to multiples of the alignment; nil when a pixel is no number.
  private func prepared(_ plane: FloatPlane) throws(KernelError) -> Tensor? {
    guard let normalisation = Normalisation(plane.values) else { return nil }
    let whole = PixelWindow(height: plane.height, width: plane.width)
    return try normalised(plane, at: whole, of: whole, to: padded(whole), normalisation)
  }

  /// A section's size, padded to multiples of the alignment.
  func padded(_ size: PixelWindow) -> PixelWindow {
    func padded(_ size: Int) -> Int {
      (size + architecture.alignment - 1) / architecture.alignment * architecture.alignment
    }
    return PixelWindow(height: padded(size.height), width: padded(size.width))
  }

  /// A window of the padded section.
  /// - Parameters:
  ///   - plane: the pixels of the section at `place`, enough of them.
  ///   - size: the section.
  func normalised(
    _ plane: FloatPlane, at place: PixelWindow, of size: PixelWindow, to window: PixelWindow,
    _ normalisation: Normalisation
  ) throws(KernelError) -> Tensor {
    let out = try Tensor(window.height, window.width, 1)
    let columns = window.columns.map { reflected($0, size.width) - place.columns.lowerBound }
    let (mean, scale) = (Float(normalisation.mean), normalisation.scale)
    plane.values.withUnsafeBufferPointer { pixels in
      for (y, row) in window.rows.enumerated() {
        let from = (reflected(row, size.height) - place.rows.lowerBound) * plane.width
        let to = out.data + y * out.width
        for x in 0..<out.width { to[x] = (pixels[from + columns[x]] - mean) * scale }
      }
    }
    return out
  }
}

// MARK: - Evaluation

extension FGNet {
  struct Maps {
    var refined: Tensor
    /// At half the size; nil unless it is wanted.
    var coarse: Tensor?
    var height: Int
    var width: Int
  }

  /// Logits of `stack[index]`, padded.
  /// - Parameter prepare: the network's input from an image, nil when there is none.
  func maps(
    index: Int, stack: [StackPlane], coarse: Bool = false, prepare: (FloatPlane) throws -> Tensor?
  ) throws -> Maps {
    // Sections from here on can still get neighbours; results above it are provisional and push nothing out.
    let final = min(index, stack.count - 1 - contextRadius)
    return try maps(index: index, stack: stack, tile: nil, final: final, coarse: coarse) { plane in
      let image = try plane.image()
      guard image.height > 0 && image.width > 0 else {
        throw KernelError.badSection(key: plane.key, reason: "it has no pixels")
      }
      guard let input = try prepare(image) else { throw KernelError.notFinite(what: "section \(plane.key)") }
      return LayerMemo.Value(maps: [input], height: image.height, width: image.width)
    }
  }

  /// Logits of `stack[index]`, padded, or of a tile's inner window.
  /// - Parameters:
  ///   - final: the place up to which layers below are done with.
  ///   - coarse: whether the coarse logits are wanted too.
  ///   - image: the layer `image` of a section; of a tile, its inner window and the trunk's input.
  func maps(
    index: Int, stack: [StackPlane], tile: Tile?, final: Int, coarse: Bool,
    image: (StackPlane) throws -> LayerMemo.Value
  ) throws -> Maps {
    try precision.inUse { try evaluated(index, stack, tile, final, coarse, image) }
  }

  private func evaluated(
    _ index: Int, _ stack: [StackPlane], _ tile: Tile?, _ final: Int, _ wantsCoarse: Bool,
    _ image: (StackPlane) throws -> LayerMemo.Value
  ) throws -> Maps {
    precondition(stack.indices.contains(index), "section \(index) of a stack of \(stack.count)")
    let disk = tile.flatMap { tile in scratch?.tile(tile.core) }
    defer { trim(stack, index, final, disk) }
    let schedule = Schedule(index: index, places: stack.count, final: final) { step in
      let key = key(step, stack)
      return memo.contains(key) || disk?.contains(key) == true
    }
    let coarseStep = Step(layer: .coarse, place: index)
    // Counted by key, not by place: equal sections share their layers.
    var readers: [LayerMemo.Key: Int] = [:]
    for step in schedule.steps {
      for input in step.inputs(places: stack.count) { readers[key(input, stack), default: 0] += 1 }
    }
    // It is an input of the output too, so it is in memory then.
    if wantsCoarse { readers[key(coarseStep, stack), default: 0] += 1 }
    disk?.touch(readers.keys)
    var result: LayerMemo.Value?
    for step in schedule.steps {
      let own = key(step, stack)
      let inputs = step.inputs(places: stack.count).map { (step: $0, key: key($0, stack)) }
      if !memo.contains(own) && disk?.contains(own) != true {
        meter.place = step.place
        for input in inputs where !memo.contains(input.key) { memo.insert(try disk?.read(input.key), for: input.key) }
        let value = try step.layer == .image ? image(stack[step.place]) : evaluate(step, stack, tile)
        if step.layer == .output { result = value } else { memo.insert(value, for: own) }
      }
      for input in inputs {
        readers[input.key, default: 0] -= 1
        if readers[input.key] == 0 { release(input.key, isNeeded: !schedule.drops(input.step), disk) }
      }
    }
    guard let result else { preconditionFailure("section \(index) was not evaluated") }
    var maps = Maps(refined: result.maps[0], coarse: nil, height: result.height, width: result.width)
    if wantsCoarse {
      maps.coarse = memo.take(key(coarseStep, stack))?.maps[0]
      if !schedule.drops(coarseStep) { release(key(coarseStep, stack), isNeeded: true, disk) }
    }
    return maps
  }

  /// A layer has been read for the last time in an evaluation. A tile's leave the memory; on disk they stay for later
  /// sections.
  private func release(_ key: LayerMemo.Key, isNeeded: Bool, _ disk: LayerScratch.Tile?) {
    if isNeeded {
      guard let disk else { return }
      if let value = memo.take(key) { disk.write(value, for: key) }
    }
    memo.remove(key)
  }

  private func key(_ step: Step, _ stack: [StackPlane]) -> LayerMemo.Key {
    let radius = step.layer.radius
    let first = max(step.place - radius, 0)
    let sections = stack[first...min(step.place + radius, stack.count - 1)].map(\.key)
    return LayerMemo.Key(layer: step.layer, sections: sections, centre: step.place - first)
  }

  private func evaluate(_ step: Step, _ stack: [StackPlane], _ tile: Tile?) throws -> LayerMemo.Value {
    var values: [Step: LayerMemo.Value] = [:]
    let inputs = step.inputs(places: stack.count)
    for input in inputs { values[input] = memo.take(key(input, stack)) }
    guard let own = values[Step(layer: step.layer.inputs[0].layer, place: step.place)] else {
      preconditionFailure("\(step.layer) at \(step.place) has no input")
    }
    for input in inputs {
      guard let value = values[input], value.height != own.height || value.width != own.width else { continue }
      throw KernelError.badSection(
        key: stack[input.place].key,
        reason: "it is \(value.height) x \(value.width), its neighbour is \(own.height) x \(own.width)")
    }
    let isTrunk = step.layer == .base
    var maps = try modules.evaluate(step.layer, view: tile?.trunkView) { layer, shift in
      let maps = values[Step(layer: layer, place: step.place + shift)]?.maps
      return isTrunk ? maps.map { Array($0.suffix(1)) } : maps
    }
    if isTrunk, let tile { maps = try tile.cropped(maps) }
    return LayerMemo.Value(maps: maps, height: own.height, width: own.width)
  }

  /// Drops what no later section of this stack can need. Looks at the stack around `index` only.
  private func trim(_ stack: [StackPlane], _ index: Int, _ final: Int, _ disk: LayerScratch.Tile?) {
    let reach = 2 * contextRadius + 1
    let window = max(0, min(index, final) - reach)...min(stack.count - 1, index + reach)
    var needed: Set<LayerMemo.Key> = []
    for layer in Layer.allCases {
      for place in window where place >= layer.firstPlaceNeeded(after: final) {
        needed.insert(key(Step(layer: layer, place: place), stack))
      }
    }
    let sections = Set(stack[window].map(\.key))
    if let disk {
      disk.trim(needed: needed, sections: sections)
      memo = LayerMemo()
    } else {
      memo.trim(needed: needed, sections: sections, limit: memoryLimit)
    }
  }

  /// Drops all layers.
  func forget() { memo = LayerMemo() }
}
