/// %XX for bytes that cannot stand for themselves.
public enum PercentEscape {
  /// A path as it is if it can be shown in one line of text, else with %XX for every byte that cannot: what is not UTF-8, or a
  /// control character.
  public static func line(_ path: String) -> String {
    path.utf8.contains { $0 < 0x20 || $0 == 0x7F } ? shown(Array(path.utf8)) : path
  }

  /// A path as it is if it is UTF-8, else as `shown`.
  static func named(_ bytes: [UInt8]) -> String { String(validating: bytes, as: UTF8.self) ?? shown(bytes) }

  static func decoded(_ bytes: [UInt8]) -> [UInt8]? {
    var out: [UInt8] = []
    var i = 0
    while i < bytes.count {
      if bytes[i] == UInt8(ascii: "%") {
        guard i + 2 < bytes.count, let high = value(bytes[i + 1]), let low = value(bytes[i + 2]) else { return nil }
        out.append(high << 4 | low)
        i += 3
      } else {
        out.append(bytes[i])
        i += 1
      }
    }
    return out
  }

  /// A path for people: printable ASCII as it is, every other byte and "%" as %XX.
  static func shown(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    let out = bytes.flatMap { byte -> [UInt8] in
      if byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "%") { return [byte] }
      return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 48...57: digit - 48
    case 65...70: digit - 55
    default: nil
    }
  }
}
