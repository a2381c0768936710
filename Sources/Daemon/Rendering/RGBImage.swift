public import Domain

extension RGB {
  /// This colour with `share` (0...1) of `other` mixed in.
  func mixed(with other: RGB, share: Float) -> RGB {
    func mix(_ a: UInt8, _ b: UInt8) -> UInt8 {
      UInt8(min(255, max(0, Float(a) + (Float(b) - Float(a)) * share + 0.5)))
    }
    return RGB(mix(red, other.red), mix(green, other.green), mix(blue, other.blue))
  }
}

/// A picture: `height * width` pixels of red, green, blue, row by row.
public struct RGBImage: Sendable, Equatable {
  /// Rows.
  public let height: Int
  /// Columns.
  public let width: Int
  /// `3 * height * width` bytes.
  public var bytes: [UInt8]

  public init(height: Int, width: Int, filledWith color: RGB = RGB(0, 0, 0)) {
    self.height = height
    self.width = width
    bytes = []
    bytes.reserveCapacity(3 * height * width)
    for _ in 0..<height * width {
      bytes.append(color.red)
      bytes.append(color.green)
      bytes.append(color.blue)
    }
  }

  public subscript(y: Int, x: Int) -> RGB {
    get {
      let k = 3 * (y * width + x)
      return RGB(bytes[k], bytes[k + 1], bytes[k + 2])
    }
    set {
      let k = 3 * (y * width + x)
      bytes[k] = newValue.red
      bytes[k + 1] = newValue.green
      bytes[k + 2] = newValue.blue
    }
  }

  /// Puts `image` with its upper left corner at (y, x); what lies outside is left out.
  mutating func draw(_ image: RGBImage, y: Int, x: Int) {
    let columns = max(0, -x)..<max(max(0, -x), min(image.width, width - x))
    for row in 0..<image.height where (0..<height).contains(y + row) {
      for column in columns { self[y + row, x + column] = image[row, column] }
    }
  }

  /// Enlarged by whole factors, each pixel a rectangle.
  func enlarged(down: Int, across: Int) -> RGBImage {
    var result = RGBImage(height: height * down, width: width * across)
    for y in 0..<result.height {
      for x in 0..<result.width { result[y, x] = self[y / down, x / across] }
    }
    return result
  }
}
