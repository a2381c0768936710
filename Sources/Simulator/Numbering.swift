import Domain

/// Numbers neurites by where they are born: injective, so that two neurites never share a label. Never 0.
struct Numbering {
  private let trunkSide: Int
  private let low: (x: Int, y: Int, z: Int)
  private let count: (x: Int, y: Int)

  init(_ options: SimulationOptions) throws(SimulationError) {
    // Everything ever born for any section lies within this distance of the volume.
    let reach = 40_000.0
    let depth = 131_073 * options.sectionNanometres + reach
    let width = Double(options.width) * options.pixelNanometres + reach
    let height = Double(options.height) * options.pixelNanometres + reach
    let radius = (depth * depth + width * width + height * height).squareRoot()
    trunkSide = 2 * (Int(radius / Anatomy.trunkSpacing) + 2)
    low = (-Int(reach / Anatomy.block) - 1, -Int(reach / Anatomy.block) - 1, -Int(depth / Anatomy.block) - 1)
    count = (Int(width / Anatomy.block) + 2 - low.x, Int(height / Anatomy.block) + 2 - low.y)
    let layers = -2 * low.z + 2
    guard trunkSide * trunkSide + count.x * count.y * layers * Anatomy.perBlock < Int(UInt32.max) else {
      throw .tooLarge(height: options.height, width: options.width)
    }
  }

  func trunk(_ i: Int, _ j: Int) -> UInt32 {
    UInt32(1 + (i + trunkSide / 2) * trunkSide + j + trunkSide / 2)
  }

  /// `k` is 0 for the block's dendrite, 1 and up for its thin processes.
  func thin(_ x: Int, _ y: Int, _ z: Int, _ k: Int) -> UInt32 {
    let block = ((z - low.z) * count.y + y - low.y) * count.x + x - low.x
    return UInt32(1 + trunkSide * trunkSide + block * Anatomy.perBlock + k)
  }
}
