/// A map of numbers of one section, row by row.
public struct FloatPlane: Sendable, Equatable {
  public let height: Int
  public let width: Int
  public var values: [Float]

  /// - Precondition: `values.count == height * width`.
  public init(height: Int, width: Int, values: [Float]) {
    precondition(values.count == height * width, "plane of \(height) x \(width) given \(values.count) numbers")
    self.height = height
    self.width = width
    self.values = values
  }
}

/// One section of a stack, as the network takes it.
public struct StackPlane {
  /// Identifies the image's content: equal keys mean equal images.
  public var key: String
  /// Intensities 0...1. Called at most once per evaluation, not at all when what depends on it is still in memory.
  public var image: () throws -> FloatPlane

  public init(key: String, image: @escaping () throws -> FloatPlane) {
    self.key = key
    self.image = image
  }
}

/// The affinities of one section, 0...1: channels z, y, x.
public struct Prediction: Sendable, Equatable {
  /// A_r, at the section's size.
  public var refined: [FloatPlane]
  /// A_s at stride 2: half the size, rounded up.
  public var coarse: [FloatPlane]
}
