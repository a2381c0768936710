/// CREMI's border mask: true pixels near a label boundary are not scored, as nobody can say where exactly it runs.
///
/// A boundary pixel has one of its four neighbours in the section with another label (0 is a label like any other; the
/// section's edge is no boundary). Masked is every pixel whose centre lies within the distance of a boundary pixel's centre,
/// boundary pixels themselves too.
public struct BorderMask: Sendable, Equatable {
  /// What masked pixels become: background, to be ignored whatever else is. A label 0 may be a neuron in CREMI's data.
  public static let background = UInt64.max

  /// Nanometres; 0 masks the boundary pixels alone.
  public let distance: Double
  /// Height and width of a pixel, nanometres.
  public let pixelY: Double
  public let pixelX: Double

  /// - Precondition: the distance is not negative, the pixel's sides are positive.
  public init(distance: Double, pixel: (y: Double, x: Double)) {
    precondition(distance >= 0 && pixel.y > 0 && pixel.x > 0)
    self.distance = distance
    pixelY = pixel.y
    pixelX = pixel.x
  }

  /// The section with masked pixels replaced by `background`.
  public func masked(_ truth: Plane<UInt64>) -> Plane<UInt64> {
    let (height, width) = (truth.height, truth.width)
    guard height > 0, width > 0 else { return truth }
    let across = rowDistances(truth)
    let reach = Int((distance / pixelY).rounded(.down))
    let limit = distance * distance
    var result = truth
    result.storage.withUnsafeMutableBufferPointer { pixels in
      across.withUnsafeBufferPointer { across in
        for y in 0..<height {
          for other in max(0, y - reach)...min(height - 1, y + reach) {
            let down = Double(other - y) * pixelY
            let rest = max(0, limit - down * down)
            let farthest = Int((rest.squareRoot() / pixelX).rounded(.down))
            for x in 0..<width where across[other &* width &+ x] <= farthest {
              pixels[y &* width &+ x] = Self.background
            }
          }
        }
      }
    }
    return result
  }

  /// Columns from each pixel to the nearest boundary pixel of its row; a large number where the row has none.
  private func rowDistances(_ truth: Plane<UInt64>) -> [Int] {
    let (height, width) = (truth.height, truth.width)
    let none = Int(Int32.max)
    var result = [Int](repeating: none, count: height * width)
    truth.storage.withUnsafeBufferPointer { labels in
      for y in 0..<height {
        let row = y * width
        for x in 0..<width {
          let label = labels[row + x]
          let boundary =
            (x > 0 && labels[row + x - 1] != label) || (x + 1 < width && labels[row + x + 1] != label)
            || (y > 0 && labels[row + x - width] != label) || (y + 1 < height && labels[row + x + width] != label)
          result[row + x] = boundary ? 0 : (x > 0 && result[row + x - 1] < none ? result[row + x - 1] + 1 : none)
        }
        for x in (0..<max(0, width - 1)).reversed() where result[row + x + 1] < none {
          result[row + x] = min(result[row + x], result[row + x + 1] + 1)
        }
      }
    }
    return result
  }
}
