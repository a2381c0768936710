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
  /// Rows and columns; nil: known from the image only. Such a section is always evaluated as a whole.
  public let size: PixelWindow?
  /// Intensities 0...1. Called at most once per evaluation, not at all when what depends on it is still in memory.
  public let image: () throws -> FloatPlane
  /// Intensities of a part of a section of known size.
  let part: (PixelWindow) throws -> FloatPlane

  /// A section that comes as a whole.
  public init(key: String, image: @escaping () throws -> FloatPlane) {
    self.key = key
    self.image = image
    size = nil
    part = { _ in preconditionFailure("a section of unknown size is not read in parts") }
  }

  /// A section that can be read in parts, any number of times.
  /// - Parameter part: intensities 0...1 of a window inside the section.
  public init(key: String, height: Int, width: Int, part: @escaping (PixelWindow) throws -> FloatPlane) {
    self.key = key
    let whole = PixelWindow(height: height, width: width)
    size = whole
    image = { try part(whole) }
    self.part = part
  }
}

/// The affinities of one section, 0...1: channels z, y, x.
public struct Prediction: Sendable, Equatable {
  /// A_r, at the section's size.
  public var refined: [FloatPlane]
  /// A_s at stride 2: half the size, rounded up. Empty unless it was asked for.
  public var coarse: [FloatPlane]
}
