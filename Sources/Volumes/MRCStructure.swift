/// The header of an MRC file (MRC2014, and older ones without its marks): 1024 bytes, an extended header, then the planes.
enum MRCStructure {
  private static let headerSize = 1024
  private static let modes: [Int32: PixelType] = [0: .i8, 1: .i16, 2: .f32, 6: .u16, 12: .f16]

  /// Whether a file's first bytes, 16 or all there are, can be the beginning of an MRC header: sides and mode. There is no
  /// signature before byte 208, and none at all in older files.
  static func isPlausible(_ head: [UInt8]) -> Bool {
    [false, true].contains { isPlausible(head, bigEndian: $0) }
  }

  private static func isPlausible(_ head: [UInt8], bigEndian: Bool) -> Bool {
    let words = (0..<min(head.count / 4, 4)).map { word(head, 4 * $0, bigEndian) }
    let sides = words.prefix(3).allSatisfy { $0 > 0 && $0 <= 1 << 20 }
    return sides && (words.count < 4 || (words[3] >= 0 && words[3] <= 101))
  }

  static func inspect(_ file: borrowing FileBytes) throws(FormatFault) -> InspectedImage {
    guard let header = file.read(at: 0, count: headerSize) else {
      throw .incomplete("the file ends within its header of \(headerSize) bytes")
    }
    let bigEndian = isBigEndian(header)
    func value(_ at: Int) -> Int { Int(word(header, at, bigEndian)) }
    func real(_ at: Int) -> Double { Double(Float(bitPattern: UInt32(bitPattern: word(header, at, bigEndian)))) }
    let (width, height, sections, extended) = (value(0), value(4), value(8), value(92))
    try ImageProbe.check(height: height, width: width)
    guard sections >= 1 else { throw .unusable("an MRC file of \(sections) sections") }
    guard var pixels = modes[word(header, 12, bigEndian)] else {
      throw .unusable("an MRC file of mode \(value(12)); modes 0, 1, 2, 6 and 12 are read")
    }
    if pixels == .i8, isUnsigned(header, bigEndian, largest: real(80)) { pixels = .u8 }
    guard extended >= 0 else { throw .unusable("an extended header of \(extended) bytes") }
    let facts = ImageFacts(
      sections: sections, height: height, width: width, pixels: pixels,
      pixelSize: pixelSize(cell: [40, 44, 48].map(real), samples: [28, 32, 36].map(value)))
    let image = InspectedImage(
      kind: .raw(offset: headerSize + extended, bigEndian: bigEndian), facts: facts, fileSize: file.size)
    let (data, overflow) = image.decodedSize.multipliedReportingOverflow(by: sections)
    guard !overflow, data <= file.size - headerSize - extended else {
      throw .incomplete(
        "\(sections) sections of \(width) x \(height) pixels need \(overflow ? Int.max : data) bytes after the header, "
          + "the file has \(max(0, file.size - headerSize - extended))")
    }
    return image
  }

  /// As the machine stamp says, if the sides and the mode make sense so; else the other way.
  private static func isBigEndian(_ header: [UInt8]) -> Bool {
    let stamped = header[212] == 0x11
    return isPlausible(header, bigEndian: stamped) ? stamped : !stamped
  }

  /// MRC2014's bytes are signed. IMOD's are as its flags say; where there are no flags, a largest value above 127 tells.
  private static func isUnsigned(_ header: [UInt8], _ bigEndian: Bool, largest: Double) -> Bool {
    if word(header, 152, bigEndian) == 1_146_047_817 { return word(header, 156, bigEndian) & 1 == 0 }
    return largest > 127
  }

  /// From the cell in angstrom. A pixel of exactly 1 angstrom is what programs write who do not know it.
  private static func pixelSize(cell: [Double], samples: [Int]) -> PixelSize? {
    guard samples.allSatisfy({ $0 > 0 }) else { return nil }
    let sizes = zip(cell, samples).map { $0 / Double($1) }
    guard sizes[0] != 1 || sizes[1] != 1 else { return nil }
    return PixelSize(z: sizes[2] / 10, y: sizes[1] / 10, x: sizes[0] / 10)
  }

  private static func word(_ bytes: [UInt8], _ at: Int, _ bigEndian: Bool) -> Int32 {
    var value: UInt32 = 0
    for i in 0..<4 { value = value << 8 | UInt32(bytes[at + (bigEndian ? i : 3 - i)]) }
    return Int32(bitPattern: value)
  }
}
