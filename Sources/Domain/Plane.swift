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

/// A rectangle of pixels of a section.
public struct PlaneWindow: Sendable, Hashable {
  public var rows: Range<Int>
  public var columns: Range<Int>

  public init(rows: Range<Int>, columns: Range<Int>) {
    self.rows = rows
    self.columns = columns
  }

  /// A whole section.
  public init(height: Int, width: Int) { self.init(rows: 0..<height, columns: 0..<width) }

  public var height: Int { rows.count }
  public var width: Int { columns.count }
  public var pixels: Int { rows.count * columns.count }

  /// The window on a map of half the size that shows this one.
  /// - Precondition: it begins at even pixels.
  public var halved: PlaneWindow {
    precondition(rows.lowerBound % 2 == 0 && columns.lowerBound % 2 == 0, "\(self) begins inside a pair of pixels")
    return PlaneWindow(
      rows: rows.lowerBound / 2..<(rows.upperBound + 1) / 2,
      columns: columns.lowerBound / 2..<(columns.upperBound + 1) / 2)
  }

  /// The window with `margin` pixels more on each side, from a multiple of `alignment` on, as far as a section of the
  /// size of `bounds` goes.
  public func widened(by margin: Int, alignment: Int = 1, in bounds: PlaneWindow) -> PlaneWindow {
    func wider(_ range: Range<Int>, _ bounds: Range<Int>) -> Range<Int> {
      let lower = max(range.lowerBound - margin, bounds.lowerBound)
      return lower / alignment * alignment..<min(range.upperBound + margin, bounds.upperBound)
    }
    return PlaneWindow(rows: wider(rows, bounds.rows), columns: wider(columns, bounds.columns))
  }

  /// The window in the coordinates of a part that begins where `other` does.
  public func relative(to other: PlaneWindow) -> PlaneWindow {
    let (y, x) = (other.rows.lowerBound, other.columns.lowerBound)
    return PlaneWindow(
      rows: rows.lowerBound - y..<rows.upperBound - y, columns: columns.lowerBound - x..<columns.upperBound - x)
  }
}

extension Plane {
  /// A copy of a part.
  /// - Precondition: the window lies inside.
  public func cropped(to window: PlaneWindow) -> Plane {
    if window == PlaneWindow(height: height, width: width) { return self }
    var part: [Element] = []
    part.reserveCapacity(window.pixels)
    for y in window.rows {
      part += storage[y * width + window.columns.lowerBound..<y * width + window.columns.upperBound]
    }
    return Plane(height: window.height, width: window.width, storage: part)
  }

  /// Writes `part` over the pixels of the window.
  /// - Precondition: the window lies inside and has the part's shape.
  public mutating func replace(_ window: PlaneWindow, with part: Plane) {
    precondition(part.height == window.height && part.width == window.width)
    for (row, y) in window.rows.enumerated() {
      storage.replaceSubrange(
        y * width + window.columns.lowerBound..<y * width + window.columns.upperBound,
        with: part.storage[row * part.width..<(row + 1) * part.width])
    }
  }
}
