/// How many bytes an evaluation takes at its worst moment: an upper bound, from the network's widths alone.
struct MemoryModel {
  /// Pixels, padded, on which layers are evaluated.
  struct Extent: Hashable {
    /// After the trunk.
    var inner: Int
    /// The trunk's.
    var outer: Int
  }

  /// Bytes for each pixel of an extent.
  fileprivate struct Cost: Hashable {
    var inner: Double
    var outer: Double
    func bytes(_ extent: Extent) -> Double { inner * Double(extent.inner) + outer * Double(extent.outer) }
  }

  private let architecture: Architecture
  /// Of the worst moments: no other has more of both.
  private let peaks: [Cost]

  /// - Parameters:
  ///   - below, above: sections of the stack on each side, as far as they count.
  ///   - streaming: the stack goes on: layers that later sections can need stay.
  init(_ architecture: Architecture, below: Int, above: Int, streaming: Bool) {
    self.architecture = architecture
    var model = Timeline(architecture)
    if streaming {
      // Two context radii of sections fill what is kept; then every section is like the one before.
      let radius = architecture.contextRadius
      let places = below + above + 1 + 2 * radius
      for index in below..<places - above {
        model.run(Schedule(index: index, places: places, final: index, has: model.has), places: places)
      }
    } else {
      let schedule = Schedule(index: below, places: below + above + 1, final: Schedule.nothing, has: model.has)
      model.run(schedule, places: below + above + 1)
    }
    peaks = model.moments.filter { one in
      !model.moments.contains { $0 != one && $0.inner >= one.inner && $0.outer >= one.outer }
    }
  }

  func bytes(_ extent: Extent) -> Int { Int((peaks.map { $0.bytes(extent) }.max() ?? 0).rounded(.up)) }

  /// What is in memory from step to step.
  private struct Timeline {
    let kept: [Cost]
    let working: [Cost]
    let fixed: Cost
    var live: Set<Step> = []
    var moments: Set<Cost> = []

    init(_ architecture: Architecture) {
      kept = Layer.allCases.map { architecture.kept($0) }
      working = Layer.allCases.map { architecture.working($0) }
      // The position embedding of the last extent.
      fixed = Cost(inner: 0, outer: 4 * Double(architecture.trunk.embedDim) / 16)
    }

    func has(_ step: Step) -> Bool { live.contains(step) }

    mutating func run(_ schedule: Schedule, places: Int) {
      var readers: [Step: Int] = [:]
      for step in schedule.steps { for input in step.inputs(places: places) { readers[input, default: 0] += 1 } }
      for step in schedule.steps {
        var cost = fixed
        for one in live.map({ kept[$0.layer.rawValue] }) + [working[step.layer.rawValue]] {
          cost.inner += one.inner
          cost.outer += one.outer
        }
        moments.insert(cost)
        if step.layer != .output { live.insert(step) }
        for input in step.inputs(places: places) {
          readers[input, default: 0] -= 1
          if readers[input] == 0 && schedule.drops(input) { live.remove(input) }
        }
      }
      live = live.filter { !schedule.drops($0) }
    }
  }
}

extension Architecture {
  /// Bytes of a layer's maps.
  fileprivate func kept(_ layer: Layer) -> MemoryModel.Cost {
    func inner(_ channels: Int, _ stride: Int) -> Double { 4 * Double(channels) / Double(stride * stride) }
    let logits = offsets.count
    let bytes: Double
    switch layer {
    case .image: return MemoryModel.Cost(inner: 4, outer: 4.1)
    case .base: bytes = inner(coarse[8], 8) + inner(coarse[4], 4)
    case .fine1: bytes = inner(fge[1], 1)
    case .encode2, .fine2, .mix2: bytes = inner(fge[2], 2)
    case .guide8: bytes = inner(coarse[8], 8)
    case .guide4: bytes = inner(coarse[4], 4)
    case .guide2: bytes = inner(coarse[2], 2)
    case .coarse: bytes = inner(logits + 1, 2) + inner(1, 4) + inner(1, 8)
    case .encode4, .fine4, .mix4, .decode4: bytes = inner(fge[4], 4)
    case .encode8, .fine8: bytes = inner(fge[8], 8)
    case .output: bytes = inner(logits, 1)
    }
    return MemoryModel.Cost(inner: bytes, outer: 0)
  }

  /// Bytes that the evaluation of a layer takes at most besides what is kept: its maps and those on the way to them.
  fileprivate func working(_ layer: Layer) -> MemoryModel.Cost {
    func inner(_ channels: Int, _ stride: Int) -> Double { 4 * Double(channels) / Double(stride * stride) }
    let bytes: Double
    switch layer {
    case .image: return MemoryModel.Cost(inner: 4, outer: 12.3)
    case .base: return MemoryModel.Cost(inner: kept(.base).inner, outer: trunkBytes)
    case .fine1: bytes = inner(fge[1], 1)
    case .encode2: bytes = inner(fge[2], 2)
    case .guide8: bytes = inner(coarse[8], 8)
    case .guide4: bytes = inner(coarse[4], 4) + inner(coarse[4], 8)
    case .guide2: bytes = inner(coarse[2], 2) + inner(coarse[2], 4)
    case .coarse: bytes = kept(.coarse).inner
    case .fine2: bytes = inner(2 * fge[2], 2)
    case .encode4: bytes = inner(fge[4], 4)
    case .fine4: bytes = inner(2 * fge[4], 4)
    case .encode8: bytes = inner(fge[8], 8)
    case .fine8: bytes = inner(2 * fge[8], 8)
    case .mix4: bytes = inner(fge[4], 8) + inner(fge[4], 4)
    case .decode4: bytes = inner(fge[4], 4)
    case .mix2: bytes = inner(fge[2], 4) + inner(fge[2], 2)
    case .output: bytes = inner(fge[2] + fge[1], 2) + inner(offsets.count, 1)
    }
    return MemoryModel.Cost(inner: bytes, outer: 0)
  }

  /// Bytes for each pixel that the trunk, and the coarse decoder down to stride 8, take at most.
  private var trunkBytes: Double {
    var (outputs, stride) = (0.0, 4.0)
    // The tokens with those before the view, and without.
    var peak = 4 * Double(2 * trunk.embedDim) / 16
    for block in trunk.blocks {
      // Tokens and what becomes of them; where every token looks at every other, also q, k, v and what is mixed of them.
      let made = Double(block.dimOut) * (block.window > 0 ? (block.pooled ? 0.25 : 1) : 5)
      peak = max(peak, outputs + 4 * (Double(block.dim) + made) / (stride * stride))
      if block.pooled { stride *= 2 }
      if block.endOfStage != nil { outputs += 4 * Double(block.dimOut) / (stride * stride) }
    }
    let joins = 4 * (Double(3 * coarse[16]) / 256 + Double(3 * coarse[8]) / 64 + Double(coarse[4]) / 16)
    return max(peak, outputs + joins)
  }
}
