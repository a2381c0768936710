import Foundation
import Volumes

/// Whether the pixel size that a file states is the volume's.
enum PixelSizeCheck {
  /// Share by which they may differ.
  static let tolerance = 0.01

  /// A sentence if they differ; nil if they agree.
  /// - Parameter isStack: the distance of the sections is compared too.
  static func warning(
    _ size: PixelSize, _ voxel: (z: Double, y: Double, x: Double), isStack: Bool
  ) -> String? {
    var axes = [("y", size.y, voxel.y), ("x", size.x, voxel.x)]
    if isStack, let z = size.z { axes.insert(("z", z, voxel.z), at: 0) }
    let wrong = axes.filter { abs($0.1 - $0.2) > tolerance * $0.2 }
    guard !wrong.isEmpty else { return nil }
    let text = wrong.map { "\(shown($0.1)) nm in \($0.0) instead of \(shown($0.2))" }.joined(separator: ", ")
    return "by the file its voxels have \(text); correct voxel_size_nm, or the file"
  }

  /// Four significant digits.
  private static func shown(_ value: Double) -> String {
    String(format: "%.4g", value)
  }
}
