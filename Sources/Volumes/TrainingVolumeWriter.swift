import CHDF5
public import Domain

/// Writes a pair of image and labels that the trainer takes: one HDF5 file with `image` (uint8 or uint16), `labels` (uint64),
/// both [z, y, x], and `z` (int32), the sections' numbers. The file appears under its name with `finish`; without it nothing
/// is left behind.
public final class TrainingVolumeWriter {
  private let path: String
  private let sections: [SectionNumber]
  private let height: Int
  private let width: Int
  private let bitDepth: Int
  private var output: H5Output?
  private var image: hid_t = -1
  private var labels: hid_t = -1
  private var written = 0

  /// Makes the file.
  ///
  /// - Parameters:
  ///   - sections: Numbers of the sections that will be appended, ascending. They need not follow each other.
  ///   - bitDepth: Of the image, 8 or 16.
  ///   - voxelSize: Nanometres (attribute `resolution` of both datasets, z, y, x).
  ///   - attributes: Text attributes of the file: where all this comes from.
  /// - Throws: `VolumeError.unwritable`, `.noSpace`.
  public init(
    path: String, sections: [SectionNumber], height: Int, width: Int, bitDepth: Int,
    voxelSize: (z: Double, y: Double, x: Double), attributes: [String: String]
  ) throws(VolumeError) {
    precondition(bitDepth == 8 || bitDepth == 16)
    if sections.isEmpty { throw .unwritable(path: path, reason: "a volume without sections") }
    if let refusal = ImageProbe.refusal(height: height, width: width) { throw .unwritable(path: path, reason: refusal) }
    self.path = path
    self.sections = sections
    self.height = height
    self.width = width
    self.bitDepth = bitDepth
    try HDF5.enter { () throws(VolumeError) in
      let made = try H5Output(path)
      do throws(VolumeError) {
        try prepare(made, [voxelSize.z, voxelSize.y, voxelSize.x], attributes)
      } catch {
        made.abandon()
        throw error
      }
      output = made
    }
  }

  deinit {
    guard let output else { return }
    _ = try? HDF5.enter { () throws(VolumeError) in output.abandon() }
  }

  private func prepare(
    _ made: H5Output, _ resolution: [Double], _ attributes: [String: String]
  ) throws(VolumeError) {
    let writer = H5Writer(context: made.context, place: made.raw)
    for (key, text) in attributes.sorted(by: { $0.key < $1.key }) { try writer.attribute(key, text) }
    let shape = [sections.count, height, width]
    for (name, element) in [("image", bitDepth == 8 ? H5Element.u8 : .u16), ("labels", .u64)] {
      let dataset = try writer.dataset(name, element, shape, chunk: [1, 256, 256])
      try H5Writer(context: made.context, place: dataset.raw).attribute("resolution", .f64, resolution)
      H5Iinc_ref(dataset.raw)
      if name == "image" { image = dataset.raw } else { labels = dataset.raw }
    }
    try writer.write("z", .i32, [sections.count], sections, chunk: [4096])
  }

  /// Appends the next section. An 8-bit image is spread over 16 bits (times 257) in a 16-bit file.
  /// - Throws: `VolumeError.noSpace`, `.unwritable` (also for another shape, more bits, or one section too many); the file is
  ///   then given up.
  public func append(image section: SectionImage, labels ids: Plane<UInt64>) throws(VolumeError) {
    let pixels = section.pixels
    guard output != nil, written < sections.count, section.bitDepth <= bitDepth, pixels.height == height,
      pixels.width == width, ids.height == height, ids.width == width
    else {
      throw .unwritable(
        path: path,
        reason:
          "section \(written + 1) of \(sections.count) is \(pixels.height) x \(pixels.width), \(section.bitDepth) bit, "
          + "its labels \(ids.height) x \(ids.width), and not \(height) x \(width), \(bitDepth) bit")
    }
    try HDF5.enter { () throws(VolumeError) in
      let writer = H5Writer(context: H5Context(path: path, mode: .writing), place: image)
      do throws(VolumeError) {
        try write(section, writer)
        try writer.writePlane(written, of: labels, .u64, height: height, width: width, ids.storage)
        try output?.checkWrites()
      } catch {
        output?.abandon()
        output = nil
        throw error
      }
    }
    written += 1
  }

  private func write(_ section: SectionImage, _ writer: H5Writer) throws(VolumeError) {
    let pixels = section.pixels.storage
    if bitDepth == 8 {
      let bytes = pixels.map { UInt8(truncatingIfNeeded: $0) }
      try writer.writePlane(written, of: image, .u8, height: height, width: width, bytes)
    } else {
      let words = section.bitDepth == 8 ? pixels.map { $0 * 257 } : pixels
      try writer.writePlane(written, of: image, .u16, height: height, width: width, words)
    }
  }

  /// Closes the file and puts it in place.
  /// - Throws: `VolumeError.noSpace`, `.unwritable` (also when sections are missing).
  public func finish() throws(VolumeError) {
    guard written == sections.count else {
      throw .unwritable(path: path, reason: "\(written) of \(sections.count) sections were given")
    }
    guard let output else { throw .unwritable(path: path, reason: "it was given up or finished before") }
    self.output = nil
    try HDF5.enter { () throws(VolumeError) in try output.finish() }
    try Files.commit(Files.temporary(for: path), to: path)
  }
}
