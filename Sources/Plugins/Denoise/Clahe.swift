import CKernels
public import Domain

/// Options of `Clahe`.
public struct ClaheOptions: StageOptions {
  /// Pixels; side of the square tiles that have a histogram each.
  public var tile = 128
  /// No intensity counts for more than this many times the mean of the 256 intensities.
  public var clipLimit = 3.0

  public static let stage = "clahe"
  public static let version = 2
  public static let table = [
    OptionDescription(
      "tile", .int(8...4096), default: .int(128), "Pixels; side of the squares that are equalised on their own."),
    OptionDescription(
      "clip_limit", .double(1...256), default: .double(3),
      "Largest count of one intensity, in multiples of the mean count: 1 changes almost nothing, 256 is not limited."),
  ]
  public init(tile: Int = 128, clipLimit: Double = 3) {
    self.tile = tile
    self.clipLimit = clipLimit
  }
  public init(_ options: ResolvedOptions) {
    tile = options.int("tile")
    clipLimit = options.double("clip_limit")
  }
  public var values: [OptionValue] { [.int(tile), .double(clipLimit)] }
}

/// Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), 256 intensities, bilinear between tiles.
///
/// The tiles are on a grid that begins at (0, 0) of the image it is given. So a crop equals the same pixels of the whole
/// only if it begins at multiples of `tile` (`alignment`) and has `halo` pixels around them. A last tile that the image
/// cuts short is moved back over the image. Intensities are clipped to 0...1; one that is not finite reads as 0.
public struct Clahe: ImageStage {
  public let options: ClaheOptions

  /// - Throws: a sentence, if an option is out of its range.
  public init(_ options: ClaheOptions = ClaheOptions()) throws(StageError) {
    try options.validate()
    self.options = options
  }

  public var name: String { ClaheOptions.stage }
  /// A pixel just past a tile's middle depends on all of the next tile: one and a half tiles.
  public var halo: Int { (3 * options.tile + 1) / 2 }
  public var alignment: Int { options.tile }
  public var fingerprint: String { options.fingerprint }

  public func filter(_ image: inout Plane<Float>) throws(StageError) {
    try inPlace(&image) { post_clahe($0, $1, $2, options.tile, Float(options.clipLimit)) }
  }
}
