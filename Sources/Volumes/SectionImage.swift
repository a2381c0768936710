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

  /// Figures that tell a bad acquisition; summed in whole numbers, so exact in any order.
  ///
  /// `dark` and `bright`: shares of the pixels with the smallest and the largest value there is. `sharpness`: root mean
  /// square difference of neighbours in rows and columns over the standard deviation; nil if all pixels are equal.
  public func quality() -> (dark: Double, bright: Double, sharpness: Double?) {
    let (height, width) = (pixels.height, pixels.width)
    let largest: UInt16 = bitDepth == 8 ? 255 : 65535
    var (dark, bright) = (0, 0)
    var squares: UInt64 = 0
    pixels.storage.withUnsafeBufferPointer { values in
      for y in 0..<height {
        let row = UnsafeBufferPointer(rebasing: values[(y * width)..<((y + 1) * width)])
        for x in 0..<width {
          if row[x] == 0 { dark += 1 } else if row[x] == largest { bright += 1 }
        }
        for x in stride(from: 1, to: width, by: 1) { squares += Self.square(row[x], row[x - 1]) }
        if y == 0 { continue }
        let above = UnsafeBufferPointer(rebasing: values[((y - 1) * width)..<(y * width)])
        for x in 0..<width { squares += Self.square(row[x], above[x]) }
      }
    }
    let pairs = max(0, height * (width - 1)) + max(0, (height - 1) * width)
    let deviation = statistics().std
    let count = Double(max(pixels.storage.count, 1))
    let difference = (Double(squares) / Double(max(pairs, 1))).squareRoot() / Double(largest)
    return (Double(dark) / count, Double(bright) / count, deviation > 0 && pairs > 0 ? difference / deviation : nil)
  }

  private static func square(_ a: UInt16, _ b: UInt16) -> UInt64 {
    let difference = Int64(a) - Int64(b)
    return UInt64(difference * difference)
  }
}
