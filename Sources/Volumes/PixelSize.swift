/// The size of a pixel as a file states it, nanometres.
public struct PixelSize: Sendable, Equatable {
  /// Distance of the file's sections; nil where it has one, or does not tell.
  public var z: Double?
  public var y: Double
  public var x: Double

  /// nil unless y and x are sizes; a z that is none is left out.
  public init?(z: Double? = nil, y: Double, x: Double) {
    guard Self.isSize(y), Self.isSize(x) else { return nil }
    self.z = z.flatMap { Self.isSize($0) ? $0 : nil }
    self.y = y
    self.x = x
  }

  private static func isSize(_ value: Double) -> Bool { value > 0 && value < 1e9 }

  /// Nanometres of a unit of length, by its usual names; nil for another unit.
  static func nanometres(_ unit: some StringProtocol) -> Double? {
    let name = unit.split(whereSeparator: { $0.isWhitespace || $0 == "\0" }).joined()
    switch name.lowercased() {
    case "pm", "picometer", "picometre": return 1e-3
    case "å", "a", "angstrom", "ångström", "ångstrom", "\\u00c5", "&#197;", "&#xc5;": return 0.1
    case "nm", "nanometer", "nanometre", "nanometers", "nanometres": return 1
    case "µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "\\u00b5m", "&#181;m", "&#xb5;m": return 1e3
    case "mm", "millimeter", "millimetre": return 1e6
    case "cm", "centimeter", "centimetre": return 1e7
    case "m", "meter", "metre": return 1e9
    case "in", "inch", "inches": return 2.54e7
    default: return nil
    }
  }
}
