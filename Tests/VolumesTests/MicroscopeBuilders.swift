import Volumes

/// Numbers of a given type in bytes.
struct ByteWriter {
  var bigEndian = false
  var bytes: [UInt8] = []

  mutating func add(_ value: UInt64, _ count: Int, bigEndian other: Bool? = nil) {
    let little = (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    bytes += other ?? bigEndian ? little.reversed() : little
  }

  mutating func add(_ value: Double, as type: PixelType) {
    switch type {
    case .f16: add(UInt64(Float16(value).bitPattern), 2)
    case .f32: add(UInt64(Float(value).bitPattern), 4)
    case .f64: add(value.bitPattern, 8)
    default: add(UInt64(bitPattern: Int64(value)), type.bytes)
    }
  }
}

/// Makes MRC files by hand.
struct MRCBuilder {
  var bigEndian = false
  var mode = 2
  var type = PixelType.f32
  var height = 3
  var width = 5
  /// Angstrom, x, y, z.
  var pixel: (Double, Double, Double) = (60, 60, 300)
  var extended = 0
  var hasMarks = true
  var imodFlags: UInt64?
  var largest = 0.0
  var planes: [[Double]] = []

  func bytes() -> [UInt8] {
    var out = ByteWriter(bigEndian: bigEndian)
    for value in [width, height, planes.count, mode, 0, 0, 0, width, height, planes.count] { out.add(UInt64(value), 4) }
    for (size, count) in [(pixel.0, width), (pixel.1, height), (pixel.2, planes.count)] {
      out.add(size * Double(count), as: .f32)
    }
    while out.bytes.count < 1024 {
      switch out.bytes.count {
      case 80: out.add(largest, as: .f32)
      case 92: out.add(UInt64(extended), 4)
      case 152: out.add(imodFlags == nil ? 0 : 1_146_047_817, 4)
      case 156: out.add(imodFlags ?? 0, 4)
      case 208 where hasMarks: out.bytes += Array("MAP ".utf8)
      case 212 where hasMarks: out.bytes += bigEndian ? [0x11, 0x11, 0, 0] : [0x44, 0x44, 0, 0]
      default: out.add(0, 4)
      }
    }
    out.bytes += [UInt8](repeating: 0xEE, count: extended)
    for value in planes.joined() { out.add(value, as: type) }
    return out.bytes
  }
}

/// Makes DM3 and DM4 files by hand, with a thumbnail before the image.
struct DMBuilder {
  var isDM4 = false
  var bigEndian = false
  var dataType = 10
  var type = PixelType.u16
  /// x, y and, for a stack, z.
  var sides = [5, 3]
  /// By axis, with the unit.
  var scales: [(Double, String)] = []
  var values: [Double] = []

  private var word: Int { isDM4 ? 8 : 4 }

  func bytes() -> [UInt8] {
    let thumbnail = image(sides: [1, 1], dataType: 23, element: 5, count: 1, data: [1, 2, 3, 4])
    var pixels = ByteWriter(bigEndian: bigEndian)
    for value in values { pixels.add(value, as: type) }
    let codes: [PixelType: Int] = [.u8: 10, .i8: 9, .i16: 2, .u16: 4, .i32: 3, .u32: 5, .f32: 6, .f64: 7]
    let picture = image(
      sides: sides, dataType: dataType, element: codes[type] ?? 4, count: values.count, data: pixels.bytes)
    let window = tag("Position", [15, 0, 2, 0, 6, 0, 6], value: [UInt8](repeating: 0, count: 8))
    let root = group([window, tagGroup("ImageList", [tagGroup("", [thumbnail]), tagGroup("", [picture])])])
    var out = ByteWriter(bigEndian: true)
    out.add(isDM4 ? 4 : 3, 4)
    out.add(UInt64(root.count), word)
    out.add(bigEndian ? 0 : 1, 4)
    return out.bytes + root
  }

  private func image(sides: [Int], dataType: Int, element: Int, count: Int, data: [UInt8]) -> [UInt8] {
    let axes = scales.map { scale, unit -> [UInt8] in
      var text = ByteWriter(bigEndian: bigEndian)
      for character in unit.utf16 { text.add(UInt64(character), 2) }
      return tagGroup(
        "",
        [
          tag("Scale", [6], value: number(UInt64(Float(scale).bitPattern), 4)),
          tag("Units", [20, 4, unit.utf16.count], value: text.bytes),
        ])
    }
    return tagGroup(
      "ImageData",
      [
        tagGroup("Calibrations", [tagGroup("Dimension", axes)]),
        tag("Data", [20, element, count], value: data),
        tag("DataType", [5], value: number(UInt64(dataType), 4)),
        tagGroup("Dimensions", sides.map { tag("", [5], value: number(UInt64($0), 4)) }),
      ])
  }

  private func number(_ value: UInt64, _ count: Int) -> [UInt8] {
    var out = ByteWriter(bigEndian: bigEndian)
    out.add(value, count)
    return out.bytes
  }

  private func group(_ tags: [[UInt8]]) -> [UInt8] {
    var out = ByteWriter(bigEndian: true)
    out.bytes = [1, 0]
    out.add(UInt64(tags.count), word)
    return out.bytes + tags.joined()
  }

  private func entry(_ kind: UInt64, _ name: String, _ content: [UInt8]) -> [UInt8] {
    var out = ByteWriter(bigEndian: true)
    out.add(kind, 1)
    out.add(UInt64(name.utf8.count), 2)
    out.bytes += Array(name.utf8)
    if isDM4 { out.add(UInt64(content.count), 8) }
    return out.bytes + content
  }

  private func tagGroup(_ name: String, _ tags: [[UInt8]]) -> [UInt8] { entry(20, name, group(tags)) }

  private func tag(_ name: String, _ type: [Int], value: [UInt8]) -> [UInt8] {
    var out = ByteWriter(bigEndian: true)
    out.bytes = Array("%%%%".utf8)
    out.add(UInt64(type.count), word)
    for part in type { out.add(UInt64(part), word) }
    return entry(21, name, out.bytes + value)
  }
}
