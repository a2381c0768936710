/// The chunks of a PNG file (ISO/IEC 15948), from the signature to IEND.
enum PNGStructure {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
  /// Deflate makes at most 1032 bytes of one.
  private static let largestExpansion = 1040

  static func inspect(_ file: borrowing FileBytes) -> Inspection {
    guard let header = file.read(at: 0, count: 33) else { return .incomplete("the file ends within its header") }
    let length = Int(bigEndian(header, at: 8))
    guard length == 13, Array(header[12..<16]) == Array("IHDR".utf8) else {
      if header[8...].allSatisfy({ $0 == 0 }) { return .incomplete("zeros where the header should be") }
      return .unusable("a PNG signature without a PNG header after it")
    }
    let width = Int(bigEndian(header, at: 16))
    let height = Int(bigEndian(header, at: 20))
    let bits = Int(header[24])
    if let refusal = refusal(height: height, width: width, bits: bits, colour: header[25]) { return .unusable(refusal) }
    return walk(
      file,
      InspectedImage(
        kind: .png, height: height, width: width, bitDepth: bits, inverted: false, fileSize: file.size))
  }

  private static func refusal(height: Int, width: Int, bits: Int, colour: UInt8) -> String? {
    if let refusal = ImageProbe.refusal(height: height, width: width) { return refusal }
    switch colour {
    case 0: break
    case 2, 6: return "a colour picture (RGB); sections are greyscale, save it as 8 or 16 bit grey"
    case 3: return "a picture with a colour palette; save it as 8 or 16 bit grey"
    case 4: return "a grey picture with an alpha channel; save it without transparency"
    default: return "PNG colour type \(colour) does not exist"
    }
    return bits == 8 || bits == 16 ? nil : "\(bits) bits a pixel; sections have 8 or 16"
  }

  private static func walk(_ file: borrowing FileBytes, _ image: InspectedImage) -> Inspection {
    var offset = 33
    var data = 0
    while let head = file.read(at: offset, count: 8) {
      let length = Int(bigEndian(head, at: 0))
      let type = head[4..<8]
      guard type.allSatisfy({ ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) }), length < 1 << 31 else {
        if head.allSatisfy({ $0 == 0 }) { return .incomplete("zeros where data should be, from byte \(offset)") }
        return .unusable("no PNG chunk at byte \(offset)")
      }
      guard length <= file.size - offset - 12 else {
        return .incomplete("the data at byte \(offset) need \(length + 12) bytes, the file ends at \(file.size)")
      }
      if type.elementsEqual("IDAT".utf8) { data += length }
      if type.elementsEqual("IEND".utf8) { return judge(image, data: data) }
      offset += length + 12
    }
    return .incomplete("the file ends at byte \(file.size) without its end mark")
  }

  private static func judge(_ image: InspectedImage, data: Int) -> Inspection {
    if data == 0 { return .unusable("a PNG file without pixels") }
    if image.decodedSize / largestExpansion > data {
      return .unusable("\(data) bytes cannot hold \(image.width) x \(image.height) pixels")
    }
    return .whole(image)
  }

  private static func bigEndian(_ bytes: [UInt8], at i: Int) -> UInt32 {
    UInt32(bytes[i]) << 24 | UInt32(bytes[i + 1]) << 16 | UInt32(bytes[i + 2]) << 8 | UInt32(bytes[i + 3])
  }
}
