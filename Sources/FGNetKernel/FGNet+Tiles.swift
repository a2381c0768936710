internal import CKernels

/// Sections that are larger than the memory.
extension FGNet {
  /// The affinities of `stack[index]` part by part, each pixel once: as a whole, or by tiles where that would take more
  /// than the budget. The values do not depend on which.
  /// - Parameters:
  ///   - stack: as in `evaluate`. Sections of unknown size are evaluated as a whole.
  ///   - coarse: whether A_s is wanted too.
  ///   - deliver: is given a window of the section, and what is predicted there: A_s on `PixelWindow.halved`.
  /// - Throws: `KernelError`, `overBudget` among them; what a section's pixels and `deliver` throw.
  public func affinities(
    of index: Int, in stack: [StackPlane], coarse: Bool = false, deliver: (PixelWindow, Prediction) throws -> Void
  ) throws {
    guard let plan = try tilePlan(index, stack) else {
      let found = try evaluate(index: index, stack: stack, coarse: coarse)
      return try deliver(PixelWindow(height: found.refined[0].height, width: found.refined[0].width), found)
    }
    try affinities(of: index, in: stack, plan, coarse: coarse, deliver)
  }

  /// Keeps layers of tiles in a nameless file, for as long as later sections can need them.
  /// - Parameter bytes: of the file at most.
  /// - Throws: `scratch`.
  public func useScratch(directory: String, bytes: Int) throws(KernelError) {
    scratch = try LayerScratch(directory: directory, limit: bytes)
  }

  /// - Throws: `overBudget` when a section of that size, evaluated as a whole, needs more than the budget.
  public func requireWhole(height: Int, width: Int) throws(KernelError) {
    let size = PixelWindow(height: height, width: width)
    guard let budget, let need = wholeNeed(size), need > budget.bytes else { return }
    throw .overBudget(height: height, width: width, bytes: need, budget: budget.bytes, byTiles: false)
  }

  /// Bytes of the budget that sections of that size, evaluated as a whole, leave; 0 where they are evaluated by tiles, nil
  /// without a budget. Safe from any thread, but for changes of the budget.
  public func memoryLeft(height: Int, width: Int) -> Int? {
    guard let budget else { return nil }
    let pixels = padded(PixelWindow(height: height, width: width)).pixels
    let model = MemoryModel(architecture, below: contextRadius, above: contextRadius, streaming: true)
    let left = budget.bytes - model.bytes(MemoryModel.Extent(inner: pixels, outer: pixels))
    return left < budget.besideWhole * height * width ? 0 : left
  }

  /// Bytes that sections of that size need as a whole, what is beside them included; nil without a budget.
  private func wholeNeed(_ size: PixelWindow) -> Int? {
    guard let budget else { return nil }
    let pixels = padded(size).pixels
    let context = TilePlan.Context(below: contextRadius, above: contextRadius, streaming: true)
    return model(context).bytes(MemoryModel.Extent(inner: pixels, outer: pixels)) + budget.besideWhole * size.pixels
  }

  /// By these tiles.
  func affinities(
    of index: Int, in stack: [StackPlane], _ plan: TilePlan, coarse: Bool = false,
    _ deliver: (PixelWindow, Prediction) throws -> Void
  ) throws {
    guard let size = stack[index].size else { preconditionFailure("tiles of a section of unknown size") }
    // What is kept of other sections would take the place of the tile's layers.
    forget()
    ck_release_kept()
    let limit = ck_limit_memory(budget.map { $0.bytes - $0.besideTiles * size.pixels } ?? .max)
    defer {
      _ = ck_limit_memory(limit)
      ck_release_kept()
    }
    // Below, two radii: the layers that sections above need of those below are told by their whole context.
    let first = max(0, index - 2 * contextRadius)
    let context = Array(stack[first...min(stack.count - 1, index + contextRadius)])
    for plane in context where plane.size != size {
      let other = plane.size ?? PixelWindow(height: 0, width: 0)
      throw KernelError.badSection(
        key: plane.key,
        reason: "it is \(other.height) x \(other.width), its neighbour is \(size.height) x \(size.width)")
    }
    normalisations = normalisations.filter { known in context.contains { $0.key == known.key } }
    scratch?.begin(plan)
    let final = scratch == nil ? Schedule.nothing : min(index - first, context.count - 1 - contextRadius)
    for tile in plan.tiles(architecture) {
      let visible = tile.core.clamped(to: size)
      let maps = try maps(index: index - first, stack: context, tile: tile, final: final, coarse: coarse) { plane in
        try self.image(plane, tile, size)
      }
      let place = PixelWindow(
        rows: visible.rows.shifted(by: -tile.inner.rows.lowerBound),
        columns: visible.columns.shifted(by: -tile.inner.columns.lowerBound))
      try deliver(visible, prediction(maps, place, stack[index].key))
    }
  }

  /// The tiles a section is cut into; nil: it is evaluated as a whole.
  func tilePlan(_ index: Int, _ stack: [StackPlane]) throws(KernelError) -> TilePlan? {
    guard let budget, let size = stack[index].size, size.pixels > 0 else { return nil }
    let bounds = padded(size)
    if let need = wholeNeed(size), need <= budget.bytes { return nil }
    guard let step = architecture.tileStep else {
      try requireWhole(height: size.height, width: size.width)
      return nil
    }
    // Layers that are kept belong to tiles of one size, whatever the context at the ends of the stack.
    let context =
      scratch != nil && stack.count > 1
      ? TilePlan.Context(below: contextRadius, above: contextRadius, streaming: false)
      : TilePlan.Context(
        below: min(index, contextRadius), above: min(stack.count - 1 - index, contextRadius), streaming: false)
    let model = model(context)
    let tileBudget = budget.bytes - budget.besideTiles * size.pixels
    if let plan = TilePlan(architecture, bounds: bounds, fits: { model.bytes($0) <= tileBudget }) { return plan }
    let smallest = model.bytes(TilePlan.largestExtent(architecture, bounds, step, step))
    throw .overBudget(
      height: size.height, width: size.width, bytes: smallest + budget.besideTiles * size.pixels,
      budget: budget.bytes, byTiles: true)
  }

  private func model(_ context: TilePlan.Context) -> MemoryModel {
    if let known = models[context] { return known }
    let model = MemoryModel(
      architecture, below: context.below, above: context.above, streaming: context.streaming)
    models[context] = model
    return model
  }

  /// The layer `image` of a tile: the inner window, and what the trunk is given.
  private func image(_ plane: StackPlane, _ tile: Tile, _ size: PixelWindow) throws -> LayerMemo.Value {
    let normalisation = try normalisation(plane, size)
    let window = tile.trunkInput
    let place = PixelWindow(
      rows: window.rows.seen(in: size.height), columns: window.columns.seen(in: size.width))
    let trunk = try normalised(plane.part(place), at: place, of: size, to: window, normalisation)
    let inner = try trunk.cropped(
      rows: tile.inner.rows.shifted(by: -window.rows.lowerBound),
      columns: tile.inner.columns.shifted(by: -window.columns.lowerBound))
    return LayerMemo.Value(maps: [inner, trunk], height: size.height, width: size.width)
  }

  /// Of the whole section, read some rows at a time.
  private func normalisation(_ plane: StackPlane, _ size: PixelWindow) throws -> Normalisation {
    if let known = normalisations[plane.key] { return known }
    let rows = max(1, (1 << 22) / size.width)
    let found = try Normalisation.read { look in
      for start in stride(from: 0, to: size.height, by: rows) {
        let band = PixelWindow(rows: start..<min(start + rows, size.height), columns: size.columns)
        try plane.part(band).values.withUnsafeBufferPointer(look)
      }
    }
    guard let found else { throw KernelError.notFinite(what: "section \(plane.key)") }
    normalisations[plane.key] = found
    return found
  }
}

extension Tile {
  /// The maps of the trunk, at strides 8 and 4, on the inner window.
  func cropped(_ maps: [Tensor]) throws(KernelError) -> [Tensor] {
    var cropped: [Tensor] = []
    for (map, stride) in zip(maps, [8, 4]) {
      func part(_ inner: Range<Int>, _ outer: Range<Int>) -> Range<Int> {
        (inner.lowerBound - outer.lowerBound) / stride..<(inner.upperBound - outer.lowerBound) / stride
      }
      cropped.append(
        try map.cropped(rows: part(inner.rows, outer.rows), columns: part(inner.columns, outer.columns)))
    }
    return cropped
  }
}

extension Range<Int> {
  fileprivate func shifted(by offset: Int) -> Range<Int> { lowerBound + offset..<upperBound + offset }

  /// The places inside 0 ..< size that these places of the padded section show.
  fileprivate func seen(in size: Int) -> Range<Int> {
    let places = map { reflected($0, size) }
    return (places.min() ?? 0)..<(places.max() ?? 0) + 1
  }
}
