import CKernels
public import Domain

/// Options of `Median`.
public struct MedianOptions: StageOptions {
  /// Pixels; the window is 2 radius + 1 wide.
  public var radius = 1

  public static let stage = "median"
  public static let version = 1
  public static let table = [
    OptionDescription(
      "radius", .int(1...5), default: .int(1), "Pixels; the median of a square of 2 radius + 1 is taken.")
  ]
  public init(radius: Int = 1) { self.radius = radius }
  public init(_ options: ResolvedOptions) { radius = options.int("radius") }
  public var values: [OptionValue] { [.int(radius)] }
}

/// Median of a square window: removes single hot or dead pixels and shot noise, keeps edges.
///
/// Beyond the edge of the image its outermost pixels repeat. A pixel that is not finite reads as 0.
public struct Median: ImageStage {
  public let options: MedianOptions

  /// - Throws: a sentence, if an option is out of its range.
  public init(_ options: MedianOptions = MedianOptions()) throws(StageError) {
    try options.validate()
    self.options = options
  }

  public var name: String { MedianOptions.stage }
  public var halo: Int { options.radius }
  public var fingerprint: String { options.fingerprint }

  public func filter(_ image: inout Plane<Float>) throws(StageError) {
    try inPlace(&image) { post_median($0, $1, $2, Int32(options.radius)) }
  }
}

extension ImageStage {
  /// Runs a C filter of (pixels, height, width) on a plane.
  func inPlace(
    _ image: inout Plane<Float>, _ filter: (UnsafeMutablePointer<Float>?, Int, Int) -> Int32
  ) throws(StageError) {
    let (height, width) = (image.height, image.width)
    let status = image.storage.withUnsafeMutableBufferPointer { filter($0.baseAddress, height, width) }
    guard status == 0 else { throw StageError.memory(name, height: height, width: width) }
  }
}

extension StageError {
  /// The sentence for a section that does not fit the memory.
  static func memory(_ stage: String, height: Int, width: Int) -> StageError {
    StageError(
      stage: stage,
      reason: "no memory for a section of \(height) x \(width) pixels; lower the tile size or raise the memory limit.",
      isOutage: true)
  }
}
