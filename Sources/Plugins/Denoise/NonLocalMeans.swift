import CKernels
public import Domain

/// Options of `NonLocalMeans`.
public struct NonLocalMeansOptions: StageOptions {
  /// Pixels; patches of 2 patchRadius + 1 are compared.
  public var patchRadius = 2
  /// Pixels; patches at most this far away in y and x are averaged.
  public var searchRadius = 5
  /// h, in intensity: patches that differ by this much (root mean square) weigh 1/e.
  public var strength = 0.06

  public static let stage = "nlm"
  public static let version = 1
  public static let table = [
    OptionDescription(
      "patch_radius", .int(1...5), default: .int(2), "Pixels; squares of 2 patch_radius + 1 are compared."),
    OptionDescription(
      "search_radius", .int(1...15), default: .int(5),
      "Pixels; the average is over the square of 2 search_radius + 1. Time grows with its area."),
    OptionDescription(
      "strength", .double(0.001...10), default: .double(0.06),
      "Intensity (0 to 1); squares that differ by this much (root mean square) weigh 1/e. About the noise's deviation."),
  ]
  public init(patchRadius: Int = 2, searchRadius: Int = 5, strength: Double = 0.06) {
    self.patchRadius = patchRadius
    self.searchRadius = searchRadius
    self.strength = strength
  }
  public init(_ options: ResolvedOptions) {
    patchRadius = options.int("patch_radius")
    searchRadius = options.int("search_radius")
    strength = options.double("strength")
  }
  public var values: [OptionValue] { [.int(patchRadius), .int(searchRadius), .double(strength)] }
}

/// Non-local means (Buades, Coll and Morel 2005): each pixel becomes the mean of the pixels around it, weighted by how
/// alike the patches around them are.
///
/// Patch differences are box sums per offset, on intensities of 12 bits, so that they are exact and a tile equals the
/// whole; the averaged values are the image's own. Beyond the edge its outermost pixels repeat. A pixel that is not
/// finite reads as 0.
public struct NonLocalMeans: ImageStage {
  public let options: NonLocalMeansOptions

  /// - Throws: a sentence, if an option is out of its range.
  public init(_ options: NonLocalMeansOptions = NonLocalMeansOptions()) throws(StageError) {
    try options.validate()
    self.options = options
  }

  public var name: String { NonLocalMeansOptions.stage }
  public var halo: Int { options.patchRadius + options.searchRadius }
  public var fingerprint: String { options.fingerprint }

  public func filter(_ image: inout Plane<Float>) throws(StageError) {
    try inPlace(&image) {
      post_nlm($0, $1, $2, Int32(options.patchRadius), Int32(options.searchRadius), Float(options.strength))
    }
  }
}
