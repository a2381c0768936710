import Domain

/// How stored numbers become grey values. A function of the section's own numbers and the configured range, nothing else.
///
/// Without a range: uint8 and uint16 stay as they are; int8 and int16 are moved up by 128 and 32768, so nothing is lost; of
/// 32-bit integers and floats the section's smallest finite value becomes 0 and its largest 65535. With a range, its ends
/// become 0 and 65535 whatever the type, and what lies outside is cut. What is no number becomes 0.
enum IntensityMapping {
  /// - Parameter wholeUpTo: bytes of numbers that are held at once; if there are more they are decoded by bands, twice where their
  ///   smallest and largest are not known. The result is the same.
  /// - Throws: What decoding throws; `.unsupported` when not one number is finite.
  static func image(
    _ facts: ImageFacts, inverted: Bool, range: ClosedRange<Double>?, path: String, decoder: ImageDecoder,
    wholeUpTo: Int
  ) throws(VolumeError) -> SectionImage {
    let count = facts.height * facts.width
    func decoded<T: BitwiseCopyable>(_ zero: T) throws(VolumeError) -> [T] {
      var values = [T](repeating: zero, count: count)
      try values.fill { buffer throws(VolumeError) in try decoder.read(into: buffer) }
      return values
    }
    func scaled<T: BitwiseCopyable>(_ zero: T, _ double: (T) -> Double) throws(VolumeError) -> [UInt16] {
      let none = VolumeError.unsupported(path: path, reason: "none of its pixels is a finite number")
      if facts.pixels.bytes * count <= wholeUpTo {
        let values = try decoded(zero)
        return try values.withUnsafeBufferPointer { values throws(VolumeError) in
          var extremes = Extremes()
          if range == nil { extremes.add(values, double) }
          guard let range = range ?? extremes.range else { throw none }
          var pixels = [UInt16](repeating: 0, count: count)
          stretch(values, range, double, into: &pixels, at: 0)
          return pixels
        }
      }
      var extremes = Extremes()
      if range == nil {
        try decoder.readBands { extremes.add($0.bindMemory(to: T.self), double) }
      }
      guard let range = range ?? extremes.range else { throw none }
      var pixels = [UInt16](repeating: 0, count: count)
      var done = 0
      try decoder.readBands { bytes in
        let values = bytes.bindMemory(to: T.self)
        // The file may have become another since.
        guard done + values.count <= count else { return }
        stretch(values, range, double, into: &pixels, at: done)
        done += values.count
      }
      guard done == count else { throw .changed(path: path) }
      return pixels
    }
    var depth = 16
    var pixels: [UInt16]
    switch facts.pixels {
    case .u8 where range == nil:
      depth = 8
      pixels = widened(try decoded(UInt8(0)), flip: 0)
    case .i8 where range == nil:
      depth = 8
      pixels = widened(try decoded(UInt8(0)), flip: 0x80)
    case .u16 where range == nil: pixels = try decoded(UInt16(0))
    case .i16 where range == nil:
      pixels = try decoded(UInt16(0))
      flip(&pixels, 0x8000)
    case .u8: pixels = try scaled(UInt8(0)) { Double($0) }
    case .i8: pixels = try scaled(Int8(0)) { Double($0) }
    case .u16: pixels = try scaled(UInt16(0)) { Double($0) }
    case .i16: pixels = try scaled(Int16(0)) { Double($0) }
    case .u32: pixels = try scaled(UInt32(0)) { Double($0) }
    case .i32: pixels = try scaled(Int32(0)) { Double($0) }
    case .f16: pixels = try scaled(Float16(0)) { Double($0) }
    case .f32: pixels = try scaled(Float(0)) { Double($0) }
    case .f64: pixels = try scaled(Double(0)) { $0 }
    }
    if inverted { flip(&pixels, depth == 8 ? 0xFF : 0xFFFF) }
    return SectionImage(
      bitDepth: depth, pixels: Plane(height: facts.height, width: facts.width, storage: pixels),
      isVerbatim: range == nil && (facts.pixels == .u8 || facts.pixels == .u16))
  }

  /// The smallest and the largest of finite numbers.
  private struct Extremes {
    private var (low, high) = (Double.infinity, -Double.infinity)
    var range: ClosedRange<Double>? { low <= high ? low...high : nil }

    mutating func add<T>(_ values: UnsafeBufferPointer<T>, _ double: (T) -> Double) {
      for value in values {
        let value = double(value)
        guard value.isFinite else { continue }
        low = min(low, value)
        high = max(high, value)
      }
    }
  }

  private static func stretch<T>(
    _ values: UnsafeBufferPointer<T>, _ range: ClosedRange<Double>, _ double: (T) -> Double,
    into pixels: inout [UInt16], at place: Int
  ) {
    // Halves, so that the difference of two finite numbers is finite.
    let span = range.upperBound / 2 - range.lowerBound / 2
    let middle = range.lowerBound / 2
    pixels.withUnsafeMutableBufferPointer { pixels in
      for i in 0..<values.count {
        let share = span > 0 ? (double(values[i]) / 2 - middle) / span : 0
        pixels[place + i] = share.isNaN ? 0 : UInt16((min(max(share, 0), 1) * 65535).rounded())
      }
    }
  }

  private static func widened(_ bytes: [UInt8], flip: UInt8) -> [UInt16] {
    bytes.withUnsafeBufferPointer { source in
      [UInt16](unsafeUninitializedCapacity: source.count) { target, count in
        for i in 0..<source.count { target[i] = UInt16(source[i] ^ flip) }
        count = source.count
      }
    }
  }

  private static func flip(_ pixels: inout [UInt16], _ bits: UInt16) {
    pixels.withUnsafeMutableBufferPointer { buffer in
      for i in 0..<buffer.count { buffer[i] ^= bits }
    }
  }
}
