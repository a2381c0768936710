public import Domain

/// The image of one section as the microscope wrote it.
public struct SectionImage: Sendable, Equatable {
  /// 8 or 16.
  public let bitDepth: Int
  /// 0...255 or 0...65535, black is 0.
  public let pixels: Plane<UInt16>
  /// Whether the file holds these very numbers (or, white being 0, their complements).
  public let isVerbatim: Bool
  /// As the file states it; nil where it does not.
  public internal(set) var pixelSize: PixelSize?

  /// - Precondition: `bitDepth` is 8 or 16.
  public init(bitDepth: Int, pixels: Plane<UInt16>, isVerbatim: Bool = true) {
    precondition(bitDepth == 8 || bitDepth == 16)
    self.bitDepth = bitDepth
    self.pixels = pixels
    self.isVerbatim = isVerbatim
  }

  /// Intensities 0...1.
  public func normalised() -> Plane<Float> {
    Plane(
      height: pixels.height, width: pixels.width,
      storage: Self.normalised(pixels.storage, largest: bitDepth == 8 ? 255 : 65535))
  }

  static func normalised<T: FixedWidthInteger & UnsignedInteger>(_ pixels: [T], largest: Float) -> [Float] {
    pixels.withUnsafeBufferPointer { source in
      [Float](unsafeUninitializedCapacity: source.count) { target, count in
        for i in 0..<source.count { target[i] = Float(source[i]) / largest }
        count = source.count
      }
    }
  }

  /// Mean and standard deviation of the intensities, 0...1; summed in whole numbers, so exact in any order.
  public func statistics() -> (mean: Double, std: Double) {
    var sum: UInt64 = 0
    var squares: UInt64 = 0
    for value in pixels.storage {
      sum += UInt64(value)
      squares += UInt64(value) * UInt64(value)
    }
    let count = Double(max(pixels.storage.count, 1))
    let largest: Double = bitDepth == 8 ? 255 : 65535
    let mean = Double(sum) / count
    let variance = max(0, Double(squares) / count - mean * mean)
    return (mean / largest, variance.squareRoot() / largest)
  }
}
