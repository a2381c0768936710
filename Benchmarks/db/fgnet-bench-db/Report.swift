import Foundation

/// Figures beside their bars.
struct Report {
  private var rows: [(what: String, value: String, bar: String, verdict: String)] = []

  mutating func add(_ what: String, _ value: String, bar: String = "", met: Bool? = nil) {
    rows.append((what, value, bar, met.map { $0 ? "met" : "missed" } ?? ""))
  }

  /// - Parameter limit: milliseconds that the value must stay under.
  mutating func add(_ what: String, _ times: Times, limit: Double) {
    add(what, times.text, bar: String(format: "< %g ms", limit), met: times.median < limit)
  }

  var text: String {
    (["| what | measured | bar | |", "|---|---|---|---|"]
      + rows.map { "| \($0.what) | \($0.value) | \($0.bar) | \($0.verdict) |" }).joined(separator: "\n")
  }

  static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

  static func seconds(_ duration: Duration) -> String { String(format: "%.1f", duration / .seconds(1)) }
}

/// Milliseconds of several calls.
struct Times {
  private(set) var values: [Double] = []

  @discardableResult
  mutating func measure<T>(_ body: () throws -> T) rethrows -> T {
    let start = ContinuousClock.now
    let result = try body()
    values.append((ContinuousClock.now - start) / .milliseconds(1))
    return result
  }

  var median: Double { quantile(0.5) }

  func quantile(_ share: Double) -> Double {
    precondition(!values.isEmpty)
    return values.sorted()[min(values.count - 1, Int(Double(values.count) * share))]
  }

  var text: String {
    String(format: "%.2f ms (95 %%: %.2f, most %.2f; n = %d)", median, quantile(0.95), values.max() ?? 0, values.count)
  }
}
