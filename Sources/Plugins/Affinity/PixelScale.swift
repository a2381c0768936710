internal import Domain
internal import FGNetKernel

/// How sections are brought to the pixels that a network was trained on, and its affinities back to the sections' own.
public struct PixelScale: Sendable, Equatable, CustomStringConvertible {
  /// Changes when the same factors may give other results.
  static let version = 1

  /// The network's pixels for each of the section's along y: above 1, sections are enlarged for the network.
  public let y: Double
  /// The same along x.
  public let x: Double

  /// - Precondition: both are finite and above 0.
  public init(y: Double, x: Double) {
    precondition(y > 0 && x > 0 && y.isFinite && x.isFinite, "a section cannot be rescaled by \(y) x \(x)")
    self.y = y
    self.x = x
  }

  /// Equal fingerprints give equal results.
  public var fingerprint: String { "rescale/\(Self.version) y=\(y) x=\(x)" }

  /// For people: `0.667 x 0.667`, in the order y, x.
  public var description: String {
    func rounded(_ factor: Double) -> String { VoxelNanometres.text((factor * 1000).rounded() / 1000) }
    return "\(rounded(y)) x \(rounded(x))"
  }

  /// The network's size of a section.
  public func modelSize(height: Int, width: Int) -> (height: Int, width: Int) {
    func scaled(_ size: Int, _ factor: Double) -> Int { max(1, Int((Double(size) * factor).rounded())) }
    return (scaled(height, y), scaled(width, x))
  }

  /// The section as the network sees it: averages of areas where it shrinks, cubic where it grows.
  /// - Throws: a sentence when there is no memory.
  func enter(_ image: Plane<Float>, stage: String) throws(StageError) -> FloatPlane {
    guard image.height > 0 && image.width > 0 else {
      return FloatPlane(height: image.height, width: image.width, values: image.storage)
    }
    let size = modelSize(height: image.height, width: image.width)
    let rows = Resampling(from: image.height, to: size.height, enlarging: .cubic)
    let columns = Resampling(from: image.width, to: size.width, enlarging: .cubic)
    let values = try Resampling.plane(image.storage, rows, columns, stage: stage)
    return FloatPlane(height: size.height, width: size.width, values: values)
  }

  /// One channel of the affinities at the section's pixels: averages where the section is coarser than the network, linear
  /// where it is finer. An affinity along y or x lies on the border to the pixel before, not in the middle of its pixel.
  /// - Parameter channel: 0, 1, 2: z, y, x.
  /// - Throws: a sentence when there is no memory.
  func leave(
    _ map: FloatPlane, channel: Int, height: Int, width: Int, stage: String
  ) throws(StageError) -> FloatPlane {
    let rows = Resampling(from: map.height, to: height, channel == 1 ? .borders : .pixels)
    let columns = Resampling(from: map.width, to: width, channel == 2 ? .borders : .pixels)
    let values = try Resampling.plane(map.values, rows, columns, stage: stage)
    return FloatPlane(height: height, width: width, values: values)
  }

  /// One channel of the coarse affinities at half the section's size, to within a pixel of the section: a number of theirs
  /// stands for two borders, so that it belongs to none.
  /// - Parameters:
  ///   - height, width: of the section.
  /// - Throws: a sentence when there is no memory.
  func leaveCoarse(_ map: FloatPlane, height: Int, width: Int, stage: String) throws(StageError) -> FloatPlane {
    let half = PlaneWindow(height: height, width: width).halved
    let rows = Resampling(from: map.height, to: half.height)
    let columns = Resampling(from: map.width, to: half.width)
    let values = try Resampling.plane(map.values, rows, columns, stage: stage)
    return FloatPlane(height: half.height, width: half.width, values: values)
  }
}
