/// The image of a DM3 or DM4 file (Gatan's DigitalMicrograph). The formats are not published; this follows what the readers of
/// ncempy and rosettasciio found.
enum DMStructure {
  /// The version, most significant byte first.
  static let signatures: [[UInt8]] = [[0, 0, 0, 3], [0, 0, 0, 4]]

  private static let types: [Int: PixelType] = [
    1: .i16, 2: .f32, 6: .u8, 7: .i32, 9: .i8, 10: .u16, 11: .u32, 12: .f64,
  ]

  static func inspect(_ file: borrowing FileBytes) throws(FormatFault) -> InspectedImage {
    var reader = DMReader()
    try reader.readFile(file)
    let images = reader.images.values.filter { image in
      types[image.dataType ?? 0] != nil && image.data != nil && image.sides.count >= 2
    }
    // The thumbnail is an image of its own, of colours or smaller.
    guard let image = images.max(by: { ($0.data?.size ?? 0, $0.index) < ($1.data?.size ?? 0, $1.index) }),
      let pixels = types[image.dataType ?? 0], let data = image.data
    else {
      throw .unusable("a DigitalMicrograph file without an image of integers of 8, 16 or 32 bits or floats")
    }
    let (width, height) = (image.sides[0], image.sides[1])
    try ImageProbe.check(height: height, width: width)
    var sections = 1
    for side in image.sides.dropFirst(2) {
      let (product, overflow) = sections.multipliedReportingOverflow(by: side)
      guard !overflow, side >= 1 else { throw .unusable("an image of \(image.sides) pixels") }
      sections = product
    }
    guard image.sides.count <= 3 || sections == image.sides[2] else {
      throw .unusable("an image of \(image.sides.count) dimensions; sections are a plane, or a stack of planes")
    }
    let (size, overflow) = (height * width * pixels.bytes).multipliedReportingOverflow(by: sections)
    guard !overflow, size <= data.size else {
      throw .unusable("\(data.size) bytes cannot hold \(image.sides.map(String.init).joined(separator: " x ")) pixels")
    }
    let facts = ImageFacts(
      sections: sections, height: height, width: width, pixels: pixels, pixelSize: pixelSize(image))
    return InspectedImage(
      kind: .raw(offset: data.offset, bigEndian: reader.bigEndian), facts: facts, fileSize: file.size)
  }

  private static func pixelSize(_ image: DMReader.Image) -> PixelSize? {
    func size(_ axis: Int) -> Double? {
      guard let scale = image.scales[axis], let unit = image.units[axis].flatMap({ PixelSize.nanometres($0) }) else {
        return nil
      }
      return scale * unit
    }
    guard let x = size(0), let y = size(1) else { return nil }
    return PixelSize(z: size(2), y: y, x: x)
  }
}
