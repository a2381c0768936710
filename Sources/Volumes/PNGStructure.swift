/// The chunks of a PNG file (ISO/IEC 15948), from the signature to IEND.
enum PNGStructure {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
  /// Deflate makes at most 1032 bytes of one.
  private static let largestExpansion = 1040

  static func inspect(_ file: borrowing FileBytes) throws(FormatFault) -> InspectedImage {
    guard let header = file.read(at: 0, count: 33) else { throw .incomplete("the file ends within its header") }
    let length = Int(bigEndian(header, at: 8))
    guard length == 13, Array(header[12..<16]) == Array("IHDR".utf8) else {
      if header[8...].allSatisfy({ $0 == 0 }) { throw .incomplete("zeros where the header should be") }
      throw .unusable("a PNG signature without a PNG header after it")
    }
    let width = Int(bigEndian(header, at: 16))
    let height = Int(bigEndian(header, at: 20))
    let bits = Int(header[24])
    try check(height: height, width: width, bits: bits, colour: header[25])
    var image = InspectedImage(
      kind: .png, facts: ImageFacts(height: height, width: width, pixels: bits == 8 ? .u8 : .u16),
      fileSize: file.size)
    try walk(file, &image)
    return image
  }

  private static func check(height: Int, width: Int, bits: Int, colour: UInt8) throws(FormatFault) {
    try ImageProbe.check(height: height, width: width)
    switch colour {
    case 0: break
    case 2, 6: throw .unusable("a colour picture (RGB); sections are greyscale, save it as 8 or 16 bit grey")
    case 3: throw .unusable("a picture with a colour palette; save it as 8 or 16 bit grey")
    case 4: throw .unusable("a grey picture with an alpha channel; save it without transparency")
    default: throw .unusable("PNG colour type \(colour) does not exist")
    }
    guard bits == 8 || bits == 16 else { throw .unusable("\(bits) bits a pixel; PNG sections have 8 or 16") }
  }

  private static func walk(_ file: borrowing FileBytes, _ image: inout InspectedImage) throws(FormatFault) {
    var offset = 33
    var data = 0
    while let head = file.read(at: offset, count: 8) {
      let length = Int(bigEndian(head, at: 0))
      let type = head[4..<8]
      guard type.allSatisfy({ ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) }), length < 1 << 31 else {
        if head.allSatisfy({ $0 == 0 }) { throw .incomplete("zeros where data should be, from byte \(offset)") }
        throw .unusable("no PNG chunk at byte \(offset)")
      }
      guard length <= file.size - offset - 12 else {
        throw .incomplete("the data at byte \(offset) need \(length + 12) bytes, the file ends at \(file.size)")
      }
      if type.elementsEqual("IDAT".utf8) { data += length }
      if type.elementsEqual("pHYs".utf8), length == 9, let density = file.read(at: offset + 8, count: 9) {
        image.facts.pixelSize = pixelSize(density)
      }
      if type.elementsEqual("IEND".utf8) {
        if data == 0 { throw .unusable("a PNG file without pixels") }
        guard image.decodedSize / largestExpansion <= data else {
          throw .unusable("\(data) bytes cannot hold \(image.facts.width) x \(image.facts.height) pixels")
        }
        return
      }
      offset += length + 12
    }
    throw .incomplete("the file ends at byte \(file.size) without its end mark")
  }

  /// Pixels per metre in x and y; the last byte is 1 if the unit is known. Densities of printers are left out.
  private static func pixelSize(_ density: [UInt8]) -> PixelSize? {
    guard density[8] == 1 else { return nil }
    let found = PixelSize(y: 1e9 / Double(bigEndian(density, at: 4)), x: 1e9 / Double(bigEndian(density, at: 0)))
    return found.flatMap { max($0.x, $0.y) <= TIFFMetadata.largestFromResolution ? $0 : nil }
  }

  private static func bigEndian(_ bytes: [UInt8], at i: Int) -> UInt32 {
    UInt32(bytes[i]) << 24 | UInt32(bytes[i + 1]) << 16 | UInt32(bytes[i + 2]) << 8 | UInt32(bytes[i + 3])
  }
}
