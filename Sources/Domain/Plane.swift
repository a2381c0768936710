/// A two-dimensional array of one section, row by row: the element at (y, x) is `storage[y * width + x]`.
public struct Plane<Element: BitwiseCopyable & Sendable>: Sendable {
  /// Rows.
  public let height: Int
  /// Columns.
  public let width: Int
  /// `height * width` elements, x fastest.
  public var storage: [Element]

  /// - Precondition: `storage.count == height * width`.
  public init(height: Int, width: Int, storage: [Element]) {
    precondition(storage.count == height * width, "plane of \(height) x \(width) given \(storage.count) elements")
    self.height = height
    self.width = width
    self.storage = storage
  }

  public init(height: Int, width: Int, repeating value: Element) {
    self.init(height: height, width: width, storage: Array(repeating: value, count: height * width))
  }

  @inlinable
  public subscript(y: Int, x: Int) -> Element {
    get { storage[y * width + x] }
    set { storage[y * width + x] = newValue }
  }
}

extension Plane: Equatable where Element: Equatable {}
