import Foundation

/// A chart of lines or bars over one axis, as SVG. Colours are told apart in grey, too, and by those who see no red or green.
struct Chart {
  struct Series {
    var name: String
    var points: [(x: Double, y: Double)]
  }
  enum Style {
    case lines, steps, bars
  }
  enum Scale {
    case linear, log
  }

  var title: String
  var xLabel: String
  var yLabel: String
  var style = Style.lines
  var xScale = Scale.linear
  var yScale = Scale.linear
  var series: [Series]

  private static let colours = ["#0b6e99", "#d9730d", "#5a5a5a", "#7b4ea8"]
  private static let (width, height) = (760.0, 300.0)
  private static let (left, right, top, bottom) = (70.0, 20.0, 34.0, 44.0)

  /// One picture of charts below each other.
  static func svg(_ charts: [Chart]) -> String {
    let all = charts.enumerated().map { index, chart in
      "<g transform=\"translate(0 \(number(Double(index) * height)))\">\n\(chart.body)</g>\n"
    }
    let size = "\(number(width)) \(number(height * Double(charts.count)))"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" font-family="sans-serif" font-size="12" fill="#222">
      <rect width="100%" height="100%" fill="#fff"/>
      \(all.joined())</svg>

      """
  }

  private var body: String {
    let xs = Axis(series.flatMap { $0.points.map(\.x) }, xScale, isFromZero: false)
    let ys = Axis(series.flatMap { $0.points.map(\.y) }, yScale, isFromZero: yScale == .linear)
    func x(_ value: Double) -> Double { Self.left + xs.place(value) * (Self.width - Self.left - Self.right) }
    func y(_ value: Double) -> Double {
      Self.height - Self.bottom - ys.place(value) * (Self.height - Self.top - Self.bottom)
    }
    var text = ""
    for tick in ys.ticks {
      text += Self.line(Self.left, y(tick), Self.width - Self.right, y(tick), "#ddd")
      text += Self.text(Axis.label(tick), Self.left - 6, y(tick) + 4, anchor: "end")
    }
    for tick in xs.ticks {
      text += Self.line(x(tick), Self.height - Self.bottom, x(tick), Self.height - Self.bottom + 4, "#888")
      text += Self.text(Axis.label(tick), x(tick), Self.height - Self.bottom + 17, anchor: "middle")
    }
    text += Self.line(Self.left, Self.height - Self.bottom, Self.width - Self.right, Self.height - Self.bottom, "#888")
    for (index, one) in series.enumerated() {
      text += drawn(one, Self.colours[index % Self.colours.count], x, y)
    }
    text += Self.text(title, Self.left, 18, anchor: "start", style: "font-weight=\"bold\" ")
    text += Self.text(xLabel, (Self.left + Self.width - Self.right) / 2, Self.height - 8, anchor: "middle")
    text +=
      "<text transform=\"translate(14 \(Self.number(Self.height / 2))) rotate(-90)\" text-anchor=\"middle\">\(Self.escaped(yLabel))</text>\n"
    return text + legend
  }

  private var legend: String {
    guard series.count > 1 else { return "" }
    var text = ""
    var place = Self.width - Self.right
    for (index, one) in series.enumerated().reversed() {
      text += Self.text(
        "\u{25A0} " + one.name, place, 18, anchor: "end", style: "fill=\"\(Self.colours[index % Self.colours.count])\" "
      )
      place -= Double(one.name.count) * 6.6 + 34
    }
    return text
  }

  private func drawn(
    _ series: Series, _ colour: String, _ x: (Double) -> Double, _ y: (Double) -> Double
  ) -> String {
    if style == .bars {
      let base = Self.height - Self.bottom
      let width = max(1, (Self.width - Self.left - Self.right) / Double(max(series.points.count, 1)) - 1)
      return series.points.map { point in
        "<rect x=\"\(Self.number(x(point.x) - width / 2))\" y=\"\(Self.number(y(point.y)))\" width=\"\(Self.number(width))\""
          + " height=\"\(Self.number(max(base - y(point.y), 0)))\" fill=\"\(colour)\"/>\n"
      }.joined()
    }
    var path = ""
    for (index, point) in series.points.enumerated() {
      let (px, py) = (Self.number(x(point.x)), Self.number(y(point.y)))
      path += index == 0 ? "M\(px) \(py)" : style == .steps ? "H\(px)V\(py)" : "L\(px) \(py)"
    }
    return path.isEmpty ? "" : "<path d=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.6\"/>\n"
  }

  private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String) -> String {
    "<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" stroke=\"\(colour)\"/>\n"
  }

  private static func text(
    _ text: String, _ x: Double, _ y: Double, anchor: String, style: String = ""
  ) -> String {
    "<text x=\"\(number(x))\" y=\"\(number(y))\" \(style)text-anchor=\"\(anchor)\">\(escaped(text))</text>\n"
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  static func number(_ value: Double) -> String {
    let rounded = (value * 10).rounded() / 10
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  /// Where values lie between the ends, and round numbers to write beside.
  struct Axis {
    private let scale: Scale
    private let lower: Double
    private let upper: Double

    init(_ values: [Double], _ scale: Scale, isFromZero: Bool) {
      self.scale = scale
      let used = values.filter { $0.isFinite && (scale == .linear || $0 > 0) }
      var (low, high) = (used.min() ?? 0, used.max() ?? 1)
      if scale == .log {
        (low, high) = (log10(used.min() ?? 1).rounded(.down), log10(used.max() ?? 10).rounded(.up))
        if high <= low { high = low + 1 }
      } else {
        if isFromZero { low = min(low, 0) }
        if high <= low { high = low + 1 }
      }
      (lower, upper) = (low, high)
    }

    /// 0...1 for what lies between the ends.
    func place(_ value: Double) -> Double {
      let value = scale == .log ? log10(max(value, .leastNonzeroMagnitude)) : value
      return min(max((value - lower) / (upper - lower), 0), 1)
    }

    var ticks: [Double] {
      if scale == .log {
        let step = max(1, ((upper - lower) / 8).rounded(.up))
        return stride(from: lower, through: upper, by: step).map { pow(10, $0) }
      }
      let rough = (upper - lower) / 5
      let power = pow(10, log10(rough).rounded(.down))
      let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? rough
      return stride(from: (lower / step).rounded(.up) * step, through: upper + step * 1e-9, by: step).map { $0 }
    }

    static func label(_ value: Double) -> String {
      let size = abs(value)
      for (factor, unit) in [(1e9, "G"), (1e6, "M"), (1e4, "k")] where size >= factor {
        let scaled = value / (unit == "k" ? 1e3 : factor)
        return number((scaled * 10).rounded() / 10) + unit
      }
      if size == 0 || size >= 10 { return number(value) }
      return String(format: "%g", (value * 1e6).rounded() / 1e6)
    }
  }
}
