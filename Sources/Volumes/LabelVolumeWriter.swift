import CHDF5
public import Domain

/// Writes a three-dimensional uint64 label volume [z, y, x], plane by plane, for other programs. The file appears
/// under its name with `finish`; without it nothing is left behind.
public final class LabelVolumeWriter {
  private let path: String
  private let count: Int
  private let height: Int
  private let width: Int
  private var output: H5Output?
  private var dataset: hid_t = -1
  private var written = 0

  /// Makes the file and its dataset.
  ///
  /// - Parameters:
  ///   - count: Planes that will be appended.
  ///   - dataset: Its name, a path with "/" allowed.
  ///   - resolution: Voxel size z, y, x in nanometres (attribute `resolution`).
  ///   - offset: Place of the first voxel z, y, x in nanometres (attribute `offset`).
  ///   - attributes: Further text attributes of the dataset, for example `as_of`.
  /// - Throws: `VolumeError.unwritable`, `.noSpace`.
  public init(
    path: String, dataset: String = "labels", count: Int, height: Int, width: Int,
    resolution: (z: Double, y: Double, x: Double), offset: (z: Double, y: Double, x: Double) = (0, 0, 0),
    attributes: [String: String] = [:]
  ) throws(VolumeError) {
    if count < 1 { throw .unwritable(path: path, reason: "a volume without planes") }
    if let refusal = ImageProbe.refusal(height: height, width: width) { throw .unwritable(path: path, reason: refusal) }
    self.path = path
    self.count = count
    self.height = height
    self.width = width
    try HDF5.enter { () throws(VolumeError) in
      let made = try H5Output(path)
      do throws(VolumeError) {
        self.dataset = try Self.prepare(
          made.raw, made.context, dataset, [count, height, width],
          [resolution.z, resolution.y, resolution.x], [offset.z, offset.y, offset.x], attributes)
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

  /// Appends the next plane.
  /// - Throws: `VolumeError.noSpace`, `.unwritable` (also for a plane of another shape or one too many); the file is
  ///   then given up.
  public func append(_ plane: Plane<UInt64>) throws(VolumeError) {
    guard output != nil, written < count, plane.height == height, plane.width == width else {
      throw .unwritable(
        path: path,
        reason: "plane \(written + 1) of \(count) is \(plane.height) x \(plane.width), not \(height) x \(width)")
    }
    try HDF5.enter { () throws(VolumeError) in
      let context = H5Context(path: path, mode: .writing)
      do throws(VolumeError) {
        try H5Writer(context: context, place: dataset).writePlane(
          written, of: dataset, .u64, height: height, width: width, plane.storage)
        try output?.checkWrites()
      } catch {
        giveUp()
        throw error
      }
    }
    written += 1
  }

  /// Closes the file and puts it in place.
  /// - Throws: `VolumeError.noSpace`, `.unwritable` (also when planes are missing).
  public func finish() throws(VolumeError) {
    guard written == count else {
      throw .unwritable(path: path, reason: "\(written) of \(count) planes were given")
    }
    guard let output else { throw .unwritable(path: path, reason: "it was given up or finished before") }
    self.output = nil
    try HDF5.enter { () throws(VolumeError) in try output.finish() }
    try Files.commit(Files.temporary(for: path), to: path)
  }

  private func giveUp() {
    output?.abandon()
    output = nil
  }

  private static func prepare(
    _ root: hid_t, _ context: H5Context, _ name: String, _ shape: [Int], _ resolution: [Double], _ offset: [Double],
    _ attributes: [String: String]
  ) throws(VolumeError) -> hid_t {
    var place = root
    var groups: [hid_t] = []
    defer { for group in groups { H5Idec_ref(group) } }
    let parts = name.split(separator: "/").map(String.init)
    guard let last = parts.last else { throw .unwritable(path: context.path, reason: "a dataset without a name") }
    for part in parts.dropLast() {
      let made = try H5Writer(context: context, place: place).group(part)
      H5Iinc_ref(made.raw)
      groups.append(made.raw)
      place = made.raw
    }
    // One plane a chunk: planes are written and read one by one, and a chunk of several would be packed as often.
    let made = try H5Writer(context: context, place: place).dataset(last, .u64, shape, chunk: [1, 256, 256])
    let writer = H5Writer(context: context, place: made.raw)
    try writer.attribute("resolution", .f64, resolution)
    try writer.attribute("offset", .f64, offset)
    for (key, text) in attributes.sorted(by: { $0.key < $1.key }) { try writer.attribute(key, text) }
    H5Iinc_ref(made.raw)
    return made.raw
  }
}
