public import Domain
public import FGNetKernel

/// The built-in affinity stage: FGNet with the weights of one file.
public final class FGNetAffinityStage: AffinityStage {
  public let name = "fgnet"
  public let fingerprint: String
  private let network: FGNet

  /// - Parameter modelHash: SHA-256 of the weights file, hexadecimal.
  public init(network: FGNet, modelHash: String) {
    self.network = network
    fingerprint = "fgnet kernel=\(FGNet.kernelVersion) model=\(modelHash)"
  }

  /// Pixels around a pixel that count. The trunk's windows lie on a grid, so that a tile is exact only where it begins
  /// and ends at multiples of the alignment and has this much around it.
  public var halo: Int { network.architecture.halo }
  public var contextRadius: Int { network.contextRadius }

  /// - Throws: `StageError` with the network's or the image's reason.
  public func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
    let planes = stack.map { section in
      StackPlane(key: section.key) {
        let image = try section.image()
        return FloatPlane(height: image.height, width: image.width, values: image.storage)
      }
    }
    do {
      return Self.quantised(try network.evaluate(index: index, stack: planes).refined, first: index == 0)
    } catch let error as KernelError {
      throw StageError(stage: name, reason: error.description)
    }
  }

  /// - Parameter first: nothing lies below the section.
  static func quantised(_ planes: [FloatPlane], first: Bool) -> AffinitySection {
    let (height, width) = (planes[0].height, planes[0].width)
    var quantised = planes.map { plane in
      Plane(height: height, width: width, storage: plane.values.map { UInt8(($0 * 255).rounded()) })
    }
    if first { quantised[0] = Plane(height: height, width: width, repeating: 0) }
    for x in 0..<width { quantised[1][0, x] = 0 }
    for y in 0..<height { quantised[2][y, 0] = 0 }
    return AffinitySection(z: quantised[0], y: quantised[1], x: quantised[2])
  }
}
