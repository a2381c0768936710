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

  public func apply(_ image: Plane<Float>) throws(StageError) -> Plane<Float> {
    try filtered(image, stage: name) { source, target in
      post_median(source, target, image.height, image.width, Int32(options.radius))
    }
  }
}

/// Runs a C filter from a plane into a new one of the same shape.
func filtered(
  _ image: Plane<Float>, stage: String, _ filter: (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?) -> Int32
) throws(StageError) -> Plane<Float> {
  var status: Int32 = 0
  let pixels = image.storage.count
  // The first touch of new pages of 4 KiB takes longer than a median of 3 x 3 does. Huge ones begin at multiples of their size, so there is
  // room for one more; what is not touched takes no memory. The filter writes every pixel.
  let room = pixels + ck_huge_page / MemoryLayout<Float>.size
  let storage = [Float](unsafeUninitializedCapacity: pixels < 1 << 18 ? pixels : room) { target, count in
    if target.count >= room { ck_use_huge_pages(target.baseAddress, pixels * MemoryLayout<Float>.size) }
    status = image.storage.withUnsafeBufferPointer { filter($0.baseAddress, target.baseAddress) }
    count = status == 0 ? pixels : 0
  }
  guard status == 0 else { throw StageError.memory(stage, height: image.height, width: image.width) }
  return Plane(height: image.height, width: image.width, storage: storage)
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
