import Domain

/// Several pictures side by side, each under its caption.
struct Montage {
  struct Panel {
    var caption: String
    var image: RGBImage
    init(_ caption: String, _ image: RGBImage) {
      self.caption = caption
      self.image = image
    }
  }

  var panels: [Panel]
  /// Panels in a row before the next row begins.
  var columns: Int
  /// Lines below all panels, or none.
  var footer: String
  /// Pixels between panels and around them.
  var gap = 8

  private static let paper = RGB(20, 22, 26)
  private static let ink = RGB(232, 234, 238)

  init(_ panels: [Panel], columns: Int? = nil, footer: String = "") {
    self.panels = panels
    self.columns = max(1, columns ?? panels.count)
    self.footer = footer
  }

  /// The whole picture. Columns are as wide as the widest panel, rows as high as their highest.
  func rendered() -> RGBImage {
    guard !panels.isEmpty else { return RGBImage(height: 0, width: 0) }
    let across = min(columns, panels.count)
    let cell = panels.reduce(1) { max($0, $1.image.width) }
    let scale = cell >= 256 ? 2 : 1
    let bar = BitmapFont.height * scale + gap
    let rows = stride(from: 0, to: panels.count, by: across).map { Array(panels[$0..<min($0 + across, panels.count)]) }
    let heights = rows.map { row in row.reduce(0) { max($0, $1.image.height) } }
    let lines = footer.isEmpty ? [] : footer.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let height = heights.reduce(gap) { $0 + bar + $1 + gap } + lines.count * bar
    var result = RGBImage(height: height, width: gap + across * (cell + gap), filledWith: Self.paper)
    var y = gap
    for (row, rowHeight) in zip(rows, heights) {
      for (k, panel) in row.enumerated() {
        let x = gap + k * (cell + gap)
        let caption = Self.shortened(panel.caption, to: cell / (BitmapFont.advance * scale))
        BitmapFont.draw(caption, on: &result, y: y, x: x, scale: scale, color: Self.ink)
        result.draw(panel.image, y: y + bar, x: x)
      }
      y += bar + rowHeight + gap
    }
    for line in lines {
      let text = Self.shortened(line, to: (result.width - 2 * gap) / (BitmapFont.advance * scale))
      BitmapFont.draw(text, on: &result, y: y, x: gap, scale: scale, color: Self.ink)
      y += bar
    }
    return result
  }

  private static func shortened(_ text: String, to count: Int) -> String {
    if text.count <= count { return text }
    return count > 2 ? text.prefix(count - 2) + ".." : String(text.prefix(max(0, count)))
  }
}
