import CHDF5
public import Domain

/// A section's file that is written part by part, so that not all parts are in memory at a time, and read meanwhile.
/// It appears under its name when it is finished, and never if it is not. The bytes are those of `SectionStore.write`.
public final class SectionWriter {
  private let output: H5Output
  private let path: String
  private var isOpen = true

  init(path: String, z: SectionNumber) throws(VolumeError) {
    self.path = path
    output = try HDF5.enter { () throws(VolumeError) in try H5Output(path) }
    try encode { encoder throws(VolumeError) in try encoder.begin(z) }
  }

  deinit {
    if isOpen { try? HDF5.enter { () throws(VolumeError) in output.abandon() } }
  }

  // To be called in this order, each at most once.

  /// - Throws: `VolumeError.noSpace` or `.unwritable`; the same for the others.
  public func write(_ affinities: AffinitySection) throws(VolumeError) {
    try encode { encoder throws(VolumeError) in try encoder.encode(affinities) }
  }

  public func write(_ fragments: FragmentSection) throws(VolumeError) {
    try encode { encoder throws(VolumeError) in try encoder.encode(fragments) }
  }

  public func write(_ graph: SectionGraph, _ summaries: [FragmentSummary]) throws(VolumeError) {
    try encode { encoder throws(VolumeError) in
      try encoder.encode(graph)
      try encoder.encode(summaries)
    }
  }

  /// Makes the file appear. Nothing can be written after.
  public func finish(attributes: [String: String]) throws(VolumeError) {
    try encode { encoder throws(VolumeError) in try encoder.end(attributes) }
    isOpen = false
    let output = output
    try HDF5.enter { () throws(VolumeError) in try output.finish() }
    try Files.commit(Files.temporary(for: path), to: path)
  }

  /// Rows of what was written.
  public func read(_ rows: SectionRows) throws(VolumeError) -> SectionRows.Values {
    let output = output
    return try HDF5.enter { () throws(VolumeError) in
      try rows.read(H5Reader(context: output.context, place: output.raw))
    }
  }

  private func encode(_ body: (SectionEncoder) throws(VolumeError) -> Void) throws(VolumeError) {
    precondition(isOpen, "\(path) is finished")
    let output = output
    try HDF5.enter { () throws(VolumeError) in try body(SectionEncoder(output: output)) }
  }
}

/// Some rows of a section's products.
public struct SectionRows: Sendable {
  public var rows: Range<Int>
  public var width: Int
  public var parts: SectionParts

  /// - Parameter parts: of `.fragments`, `.affinities` and `.image`.
  public init(rows: Range<Int>, width: Int, parts: SectionParts) {
    self.rows = rows
    self.width = width
    self.parts = parts
  }

  /// What is not asked for is empty.
  public struct Values: Sendable {
    public var labels: [UInt32] = []
    public var z: [UInt8] = []
    public var y: [UInt8] = []
    public var x: [UInt8] = []
    /// Of 8 bits; of 16 where the file has them too.
    public var image: [UInt8] = []
    public var image16: [UInt16] = []
  }

  func read(_ reader: H5Reader) throws(VolumeError) -> Values {
    let window = PlaneWindow(rows: rows, columns: 0..<width)
    var values = Values()
    if parts.contains(.fragments) {
      values.labels = try reader.readWindow("fragments", .u32, window, zero: UInt32(0))
    }
    if parts.contains(.affinities) {
      values.z = try reader.readWindow("affinities", index: 0, .u8, window, zero: UInt8(0))
      values.y = try reader.readWindow("affinities", index: 1, .u8, window, zero: UInt8(0))
      values.x = try reader.readWindow("affinities", index: 2, .u8, window, zero: UInt8(0))
    }
    if parts.contains(.image) {
      values.image = try reader.readWindow("image", .u8, window, zero: UInt8(0))
      if reader.has("image16") { values.image16 = try reader.readWindow("image16", .u16, window, zero: UInt16(0)) }
    }
    return values
  }
}

extension SectionStore {
  /// Begins a section's file that is written part by part.
  /// - Throws: As `write`.
  public func begin(_ name: String, z: SectionNumber) throws(VolumeError) -> SectionWriter {
    try SectionWriter(path: checkedPath(name), z: z)
  }

  /// Some rows of a section's fragments or affinities.
  /// - Throws: As `read`; `.corrupt` where the section is smaller.
  public func read(_ name: String, _ rows: SectionRows) throws(VolumeError) -> SectionRows.Values {
    let path = try checkedPath(name)
    return try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      return try rows.read(input.reader())
    }
  }

  /// Which parts a section's file has.
  /// - Throws: As `read`.
  public func parts(_ name: String) throws(VolumeError) -> SectionParts {
    let path = try checkedPath(name)
    return try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      let reader = input.reader()
      let names: [(String, SectionParts)] = [
        ("image", .image), ("affinities", .affinities), ("coarse_affinities", .coarse), ("fragments", .fragments),
        ("graph", .graph), ("summaries", .summaries),
      ]
      return names.reduce(into: []) { if reader.has($1.0) { $0.insert($1.1) } }
    }
  }

  /// Rows, columns and number of a section's fragments; nil when it has none.
  /// - Throws: As `read`.
  public func fragmentShape(_ name: String) throws(VolumeError) -> (height: Int, width: Int, count: Int)? {
    let path = try checkedPath(name)
    return try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      let reader = input.reader()
      guard reader.has("fragments") else { return nil }
      let dataset = try reader.dataset("fragments")
      let shape = try reader.shape(of: dataset.raw)
      guard shape.count == 2 else { throw reader.damaged("fragments has \(shape.count) axes instead of 2") }
      let count = try H5Reader(context: reader.context, place: dataset.raw).integer("count")
      guard count >= 0, count <= Int64(shape[0]) * Int64(shape[1]) else {
        throw reader.damaged("fragments has the count \(count)")
      }
      return (shape[0], shape[1], Int(count))
    }
  }

  /// A window of what `writeSource` kept, as intensities 0...1.
  /// - Throws: As `read`; `.corrupt` where the section is smaller.
  public func readSource(_ name: String, _ window: PlaneWindow) throws(VolumeError) -> Plane<Float> {
    let path = try checkedPath(name)
    let values = try HDF5.enter { () throws(VolumeError) -> [Float] in
      let input = try H5Input(path)
      let reader = input.reader()
      if reader.has("image16") {
        return SectionImage.normalised(try reader.readWindow("image16", .u16, window, zero: UInt16(0)), largest: 65535)
      }
      return SectionImage.normalised(try reader.readWindow("image", .u8, window, zero: UInt8(0)), largest: 255)
    }
    return Plane(height: window.height, width: window.width, storage: values)
  }
}
