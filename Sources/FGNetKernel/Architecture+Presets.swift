extension Architecture.Trunk {
  private init(_ dim: Int, _ heads: Int, _ stages: [Int], _ windows: [Int], _ global: [Int], _ background: [Int]?) {
    self.init(
      embedDim: dim, numHeads: heads, stages: stages, windowSpec: windows, globalAttBlocks: global, qPool: 3,
      inChans: background == nil ? 1 : 3, windowPosEmbedBkgSpatialSize: background, posEmbedWindow: [8, 8])
  }

  /// Ours: windows only, fast on a CPU.
  public static let nano = Self(32, 1, [1, 2, 4, 1], [8, 8, 8, 8], [], nil)
  // SAM2's four sizes: sam2/configs/sam2.1/sam2.1_hiera_{t,s,b+,l}.yaml at facebookresearch/sam2@2b90b9f.
  public static let tiny = Self(96, 1, [1, 2, 7, 2], [8, 4, 14, 7], [5, 7, 9], [7, 7])
  public static let small = Self(96, 1, [1, 2, 11, 2], [8, 4, 14, 7], [7, 10, 13], [7, 7])
  public static let basePlus = Self(112, 2, [2, 3, 16, 3], [8, 4, 14, 7], [12, 16, 20], [14, 14])
  public static let large = Self(144, 2, [2, 6, 36, 4], [8, 4, 16, 8], [23, 33, 43], [7, 7])
}

extension Architecture {
  public static let nano = Architecture(trunk: .nano, alignment: 128)
  public static let tiny = Architecture(trunk: .tiny, alignment: 32)
  public static let small = Architecture(trunk: .small, alignment: 32)
  public static let basePlus = Architecture(trunk: .basePlus, alignment: 32)
  public static let large = Architecture(trunk: .large, alignment: 32)
}
