import Domain

/// A font of 5 x 7 pixels for captions.
enum BitmapFont {
  static let height = 7
  /// Width of a letter with the space after it.
  static let advance = 6

  /// Seven rows of five bits, the top row in the highest; what the font lacks is a question mark.
  static func glyph(_ character: Character) -> UInt64 { glyphs[character] ?? 0x3_A211_1004 }

  /// Draws `text` in one line from (y, x), each dot `scale` pixels wide. Clipped at the image's edges.
  static func draw(_ text: String, on image: inout RGBImage, y: Int, x: Int, scale: Int, color: RGB) {
    for (k, character) in text.enumerated() {
      let bits = glyph(character)
      let left = x + k * advance * scale
      for row in 0..<height * scale {
        for column in 0..<5 * scale {
          let dot = bits >> UInt64(34 - (row / scale * 5 + column / scale)) & 1
          guard dot == 1, (0..<image.height).contains(y + row), (0..<image.width).contains(left + column) else {
            continue
          }
          image[y + row, left + column] = color
        }
      }
    }
  }

  private static let glyphs: [Character: UInt64] = [
    " ": 0x000000000, "%": 0x672222273, "(": 0x088842082, ")": 0x208210888, "+": 0x0084F9080, ",": 0x000003088,
    "-": 0x0000F8000, ".": 0x00000018C, "/": 0x042222210, "0": 0x3A33AE62E, "1": 0x11842108E, "2": 0x3A213221F,
    "3": 0x78217043E, "4": 0x08CA97C42, "5": 0x7E1E0862E, "6": 0x1910F462E, "7": 0x7C2222108, "8": 0x3A317462E,
    "9": 0x3A317844C, ":": 0x018C03180, "=": 0x001F07C00, "?": 0x3A2111004, "A": 0x3A31FC631, "B": 0x7A31F463E,
    "C": 0x3A308422E, "D": 0x7A318C63E, "E": 0x7E10F421F, "F": 0x7E10F4210, "G": 0x3A30BC62F, "H": 0x4631FC631,
    "I": 0x38842108E, "J": 0x1C4210A4C, "K": 0x4654C5251, "L": 0x42108421F, "M": 0x4775AC631, "N": 0x47359C631,
    "O": 0x3A318C62E, "P": 0x7A31F4210, "Q": 0x3A318D64D, "R": 0x7A31F5251, "S": 0x3E107043E, "T": 0x7C8421084,
    "U": 0x46318C62E, "V": 0x46318C544, "W": 0x4631AD771, "X": 0x462A22A31, "Y": 0x462A21084, "Z": 0x7C222221F,
    "_": 0x00000001F, "a": 0x000E0BE2F, "b": 0x421E8C63E, "c": 0x000F8420F, "d": 0x042F8C62F, "e": 0x000E8FE0E,
    "f": 0x191E42108, "g": 0x000F8BC2E, "h": 0x421E8C631, "i": 0x100C2108E, "j": 0x080610A4C, "k": 0x4212A6292,
    "l": 0x30842108E, "m": 0x001AAD6B5, "n": 0x001E8C631, "o": 0x000E8C62E, "p": 0x001E8FA10, "q": 0x000F8BC21,
    "r": 0x0016C4210, "s": 0x000F8383E, "t": 0x211E42126, "u": 0x00118C62F, "v": 0x00118C544, "w": 0x0011AD6AA,
    "x": 0x001151151, "y": 0x00118BC2E, "z": 0x001F1111F, "|": 0x108421084,
  ]
}
