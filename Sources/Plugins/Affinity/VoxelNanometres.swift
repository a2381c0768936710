/// The size of a voxel, nanometres.
public struct VoxelNanometres: Sendable, Equatable, CustomStringConvertible {
  /// Section thickness.
  public var z: Double
  /// Pixel height.
  public var y: Double
  /// Pixel width.
  public var x: Double

  public init(z: Double, y: Double, x: Double) {
    self.z = z
    self.y = y
    self.x = x
  }

  /// `30 x 6 x 6 nm`, in the order z, y, x.
  public var description: String { "\(Self.text(z)) x \(Self.text(y)) x \(Self.text(x)) nm" }

  /// `6 x 6 nm`, in the order y, x.
  var pixel: String { "\(Self.text(y)) x \(Self.text(x)) nm" }

  var isUsable: Bool { [z, y, x].allSatisfy { $0.isFinite && $0 > 0 } }

  /// A number without a needless `.0`.
  static func text(_ value: Double) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
