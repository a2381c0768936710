/// Sizes in bytes as the configuration has them: `4294967296`, `4194304KiB`, `4096 MiB`, `4GiB`.
enum ByteSize {
  private static let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]

  /// nil if it is no such size, or does not fit.
  static func bytes(_ text: String) -> Int? {
    let unit = units.first { text.hasSuffix($0.0) }
    var number = Substring(text.dropLast(unit?.0.count ?? 0))
    while number.last == " " { number.removeLast() }
    guard !number.isEmpty, number.allSatisfy({ $0.isASCII && $0.isNumber }), let value = Int(number) else { return nil }
    let (bytes, overflow) = value.multipliedReportingOverflow(by: 1 << (unit?.1 ?? 0))
    return overflow ? nil : bytes
  }

  /// In the largest unit that leaves no remainder.
  static func text(_ bytes: Int) -> String {
    guard let unit = units.last(where: { bytes % (1 << $0.1) == 0 && bytes > 0 }) else { return "\(bytes)" }
    return "\(bytes >> unit.1) \(unit.0)"
  }
}
