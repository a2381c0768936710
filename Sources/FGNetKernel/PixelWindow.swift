/// A rectangle of pixels of a section.
public struct PixelWindow: Sendable, Hashable {
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

  /// The pixels of twice the side that show it.
  /// - Precondition: it begins at even pixels.
  public var halved: PixelWindow {
    precondition(rows.lowerBound % 2 == 0 && columns.lowerBound % 2 == 0, "\(self) begins inside a pair of pixels")
    return PixelWindow(
      rows: rows.lowerBound / 2..<(rows.upperBound + 1) / 2,
      columns: columns.lowerBound / 2..<(columns.upperBound + 1) / 2)
  }

  /// The window with `margin` pixels more on each side, as far as `bounds` go.
  func widened(by margin: Int, in bounds: PixelWindow) -> PixelWindow {
    func wider(_ range: Range<Int>, _ bounds: Range<Int>) -> Range<Int> {
      max(range.lowerBound - margin, bounds.lowerBound)..<min(range.upperBound + margin, bounds.upperBound)
    }
    return PixelWindow(rows: wider(rows, bounds.rows), columns: wider(columns, bounds.columns))
  }

  func clamped(to bounds: PixelWindow) -> PixelWindow {
    PixelWindow(rows: rows.clamped(to: bounds.rows), columns: columns.clamped(to: bounds.columns))
  }
}
