/// A part of a section that is evaluated at a time, in pixels of the section padded to the alignment.
///
/// Three windows around each other. Pixels of the *core* are the result. Layers after the trunk are evaluated on the
/// *inner* window: beyond the core the decoders and the Fine-Grained Encoder look `Architecture.tileMargin` pixels far.
/// The trunk is evaluated on the *outer* window: its windows of attention are needed whole. Where a window is cut off
/// inside the section, its outermost values are wrong (zeros lie beyond instead of the section), and nothing of the
/// next smaller window depends on them.
struct Tile: Hashable {
  let core: PixelWindow
  let inner: PixelWindow
  let outer: PixelWindow
  /// The padded section.
  let bounds: PixelWindow

  init(core: PixelWindow, bounds: PixelWindow, architecture: Architecture) {
    self.core = core
    self.bounds = bounds
    inner = core.widened(by: Architecture.tileMargin, in: bounds)
    outer = core.widened(by: architecture.trunkMargin, in: bounds)
  }

  /// Pixels before the outer window that the patch embedding sees: one token's.
  static let patchMargin = 4

  /// What the trunk is given: the outer window and, above it and left of it, what the patch embedding sees of the rest.
  var trunkInput: PixelWindow {
    PixelWindow(
      rows: max(outer.rows.lowerBound - Self.patchMargin, 0)..<outer.rows.upperBound,
      columns: max(outer.columns.lowerBound - Self.patchMargin, 0)..<outer.columns.upperBound)
  }

  var trunkView: TrunkView {
    TrunkView(
      rows: outer.rows.lowerBound / 4..<outer.rows.upperBound / 4,
      columns: outer.columns.lowerBound / 4..<outer.columns.upperBound / 4, height: bounds.height / 4,
      width: bounds.width / 4)
  }
}

extension Architecture {
  /// Pixels around a tile's core that layers after the trunk look at: 72, on the way refined.rs1, rs2, rs4, fge.rs8,
  /// rs4, rs2 to the guide G_2, G_4, G_8 and to coarse.rs8 (9 pixels of stride 8); F_1 is needed less far (55 pixels). One more
  /// of stride 8, as convolutions compute pairs of rows and columns that begin at even ones of every map.
  static let tileMargin = 80
  /// The same for the trunk's coarsest map: 160, from coarse.rs8 over coarse.rs16 (8 pixels of stride 16) to 5 of stride 32.
  private static let trunkReach = 160

  /// Tiles begin at multiples of this: of the alignment and of every window of the trunk. Nil where no tile is exact,
  /// because a block of the trunk attends to the whole section.
  public var tileStep: Int? {
    var step = alignment
    var stride = 4
    for block in trunk.blocks {
      if block.window == 0 { return nil }
      step = leastCommonMultiple(step, block.window * stride)
      if block.pooled { stride *= 2 }
    }
    return step
  }

  /// Pixels around a tile's core that the trunk is evaluated on.
  var trunkMargin: Int {
    let step = tileStep ?? alignment
    return (Self.trunkReach + step - 1) / step * step
  }
}

private func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
  var (x, y) = (a, b)
  while y != 0 { (x, y) = (y, x % y) }
  return a / x * b
}
