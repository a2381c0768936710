import Glibc

/// A colour, 8 bits a channel, as screens want it (sRGB).
public struct RGB: Sendable, Equatable, Hashable {
  public var red: UInt8
  public var green: UInt8
  public var blue: UInt8
  public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }
  /// A grey.
  public init(grey: UInt8) { self.init(grey, grey, grey) }
}

/// Colours for segments: a function of the id alone, so a neuron has one colour in every section, run and picture.
public enum SegmentPalette {
  /// The colour of a segment or fragment. Id 0 ("none") is black.
  ///
  /// Hue, chroma and lightness are drawn from a hash of the id in the OKLCH space (Ottosson 2020), where equal steps look
  /// equal, so that neighbours are told apart and no colour is lost against the grey image.
  public static func color(of id: UInt64) -> RGB {
    guard id != 0 else { return RGB(0, 0, 0) }
    let h = mix(id)
    let hue = Double(h & 0xFFFF) / 65_536 * 2 * Double.pi
    let lightness = 0.60 + 0.24 * Double(h >> 16 & 0xFF) / 255
    let chroma = 0.11 + 0.07 * Double(h >> 24 & 0xFF) / 255
    return oklab(lightness, chroma * cos(hue), chroma * sin(hue))
  }

  /// splitmix64's finaliser.
  private static func mix(_ id: UInt64) -> UInt64 {
    var v = id &+ 0x9E37_79B9_7F4A_7C15
    v = (v ^ (v >> 30)) &* 0xBF58_476D_1CE4_E5B9
    v = (v ^ (v >> 27)) &* 0x94D0_49BB_1331_11EB
    return v ^ (v >> 31)
  }

  /// OKLab to sRGB; what no screen can show is clipped.
  private static func oklab(_ lightness: Double, _ a: Double, _ b: Double) -> RGB {
    func cube(_ v: Double) -> Double { v * v * v }
    let l = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b)
    let m = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b)
    let s = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b)
    func screen(_ linear: Double) -> UInt8 {
      let v = min(1, max(0, linear))
      let encoded = v <= 0.003_130_8 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055
      return UInt8((255 * encoded).rounded())
    }
    return RGB(
      screen(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
      screen(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
      screen(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s))
  }
}
