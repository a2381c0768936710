import CHDF5
import CVolumes
public import Domain
import Glibc

/// A label volume of another program, read plane by plane: an HDF5 dataset [z, y, x], a TIFF of one or more pages, or
/// a folder of PNG or TIFF planes in the natural order of their names (2 before 10). Labels are unsigned integers of
/// 8 to 64 bits. Grey images are read in the same way. Not for use from several threads at once.
public final class LabelSource {
  /// Planes.
  public let count: Int
  /// Rows of a plane.
  public let height: Int
  /// Columns of a plane.
  public let width: Int
  /// Nanometres, from the attribute `resolution` (z, y, x) of an HDF5 dataset; nil if there is none.
  public let voxelSize: (z: Double, y: Double, x: Double)?
  private let path: String
  private var backing: any LabelBacking

  /// Names tried in an HDF5 file when none is given.
  public static let usualDatasets = ["labels", "volumes/labels/neuron_ids", "fragments", "main", "stack"]

  /// The same for images.
  public static let usualImageDatasets = ["image", "raw", "volumes/raw", "main", "stack"]

  /// Opens a volume.
  /// - Parameters:
  ///   - location: A file or folder; for HDF5 also `FILE:DATASET`.
  ///   - dataset: Path of the dataset in an HDF5 file; nil tries the one in `location`, then the usual ones.
  ///   - usual: Datasets tried in an HDF5 file when none is named.
  /// - Throws: `VolumeError.unreadable`, `.unsupported`, `.corrupt`.
  public static func open(
    _ location: String, dataset: String? = nil, usual: [String] = usualDatasets
  ) throws(VolumeError) -> LabelSource {
    var path = location
    var dataset = dataset
    if !Files.exists(location), let colon = location.lastIndex(of: ":"), Files.exists(String(location[..<colon])) {
      path = String(location[..<colon])
      dataset = dataset ?? String(location[location.index(after: colon)...])
    }
    if Files.isFolder(path) { return LabelSource(path, try FolderLabels(path)) }
    let head: [UInt8]
    do throws(SystemFailure) {
      let file = try FileBytes(path: path)
      head = file.read(at: 0, count: min(8, file.size)) ?? []
    } catch {
      throw .unreadable(path: path, reason: Files.message(error.number))
    }
    if head == [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A] {
      return LabelSource(path, try HDF5Labels(path, datasets: dataset.map { [$0] } ?? usual))
    }
    if head == PNGStructure.signature { return LabelSource(path, try FolderLabels(files: [path])) }
    if TIFFStructure.signatures.contains(where: { head.starts(with: $0) }) {
      return LabelSource(path, try TIFFLabels(path))
    }
    throw .unsupported(path: path, reason: "label volumes are HDF5 or TIFF files, or folders of PNG or TIFF planes")
  }

  private init(_ path: String, _ backing: any LabelBacking) {
    self.path = path
    self.backing = backing
    (count, height, width) = backing.shape
    voxelSize = backing.voxelSize
  }

  /// Plane `index` of 0..<count.
  /// - Throws: `VolumeError.corrupt`, `.unreadable`.
  public func plane(_ index: Int) throws(VolumeError) -> Plane<UInt64> {
    guard index >= 0, index < count else {
      throw .unsupported(path: path, reason: "plane \(index) of \(count)")
    }
    return Plane(height: height, width: width, storage: try backing.read(index))
  }
}

extension LabelBacking {
  var voxelSize: (z: Double, y: Double, x: Double)? { nil }
}

/// Where the planes of a `LabelSource` come from.
private protocol LabelBacking: AnyObject {
  var shape: (Int, Int, Int) { get }
  var voxelSize: (z: Double, y: Double, x: Double)? { get }
  func read(_ index: Int) throws(VolumeError) -> [UInt64]
}

private final class HDF5Labels: LabelBacking {
  private var input: H5Input?
  private let context: H5Context
  private var dataset: hid_t = -1
  private(set) var shape = (0, 0, 0)
  private(set) var voxelSize: (z: Double, y: Double, x: Double)?

  init(_ path: String, datasets names: [String]) throws(VolumeError) {
    context = H5Context(path: path, mode: .reading)
    try HDF5.enter { () throws(VolumeError) in
      let opened = try H5Input(path)
      let reader = opened.reader()
      guard let found = names.first(where: { Self.exists($0, reader) }) else {
        throw .unsupported(
          path: path, reason: "no dataset \(names.joined(separator: ", ")) in it; name the one to read")
      }
      dataset = try Self.opened(found, reader)
      input = opened
      let sides = try reader.shape(of: dataset)
      guard sides.count == 3, sides[0] > 0, ImageProbe.refusal(height: sides[1], width: sides[2]) == nil else {
        throw .unsupported(path: path, reason: "\(found) has the shape \(sides), not [z, y, x]")
      }
      let type = try H5ID(H5Dget_type(dataset), context)
      guard H5Tget_class(type.raw) == H5T_INTEGER else {
        throw .unsupported(path: path, reason: "\(found) does not hold whole numbers")
      }
      shape = (sides[0], sides[1], sides[2])
      if let size = try H5Reader(context: context, place: dataset).triple("resolution"), size.allSatisfy({ $0 > 0 }) {
        voxelSize = (size[0], size[1], size[2])
      }
    }
  }

  deinit {
    _ = try? HDF5.enter { () throws(VolumeError) in
      H5Idec_ref(dataset)
      input = nil
    }
  }

  /// Every part of the path exists: HDF5 fails on a path whose first parts are missing.
  private static func exists(_ name: String, _ reader: H5Reader) -> Bool {
    var path = ""
    for part in name.split(separator: "/") {
      path += path.isEmpty ? String(part) : "/" + part
      if !reader.has(path) { return false }
    }
    return !path.isEmpty
  }

  /// Opens with a chunk cache that holds all chunks under one plane, so each is unpacked once.
  private static func opened(_ name: String, _ reader: H5Reader) throws(VolumeError) -> hid_t {
    let context = reader.context
    let plain = try reader.dataset(name)
    let creation = try H5ID(H5Dget_create_plist(plain.raw), context)
    let access = try H5ID(H5Pcreate(chdf5_class_dataset_access()), context)
    let shape = try reader.shape(of: plain.raw)
    if H5Pget_layout(creation.raw) == H5D_CHUNKED, shape.count == 3 {
      var chunk = [hsize_t](repeating: 1, count: 3)
      guard H5Pget_chunk(creation.raw, 3, &chunk) == 3 else { throw context.failure() }
      let across = zip(shape, chunk).dropFirst().map { (Double($0) / Double($1)).rounded(.up) * Double($1) }
      let bytes = across.reduce(Double(chunk[0]) * 8, *)
      try context.check(H5Pset_chunk_cache(access.raw, 12421, Int(min(bytes, 512 * 1_048_576)), 1))
    }
    let raw = H5Dopen2(reader.place, name, access.raw)
    guard raw >= 0 else { throw context.failure() }
    return raw
  }

  func read(_ index: Int) throws(VolumeError) -> [UInt64] {
    let (_, height, width) = shape
    return try HDF5.enter { () throws(VolumeError) in
      var values = [UInt64](repeating: 0, count: height * width)
      try H5Reader(context: context, place: dataset).readPlane(
        index, of: dataset, .u64, height: height, width: width, into: &values)
      return values
    }
  }
}

private final class TIFFLabels: LabelBacking {
  private let path: String
  private var tiff: TIFFHandle
  let shape: (Int, Int, Int)

  init(_ path: String) throws(VolumeError) {
    self.path = path
    do throws(FormatFault) { _ = try ImageProbe.inspect(path, ImageOptions()) } catch {
      if case .incomplete(let reason) = error { throw .corrupt(path: path, reason: reason) }
      if case .unreadable(let reason) = error { throw .unreadable(path: path, reason: reason) }
    }
    tiff = try TIFFHandle(path, memoryLimit: 1 << 33)
    let info = try tiff.info()
    shape = (tiff.pages(), Int(info.height), Int(info.width))
    if let refusal = ImageProbe.refusal(height: shape.1, width: shape.2) {
      throw .unsupported(path: path, reason: refusal)
    }
  }

  func read(_ index: Int) throws(VolumeError) -> [UInt64] {
    try tiff.select(index)
    let info = try tiff.info()
    guard Int(info.height) == shape.1, Int(info.width) == shape.2 else {
      throw .unsupported(path: path, reason: "page \(index + 1) is of another size than the first")
    }
    guard info.samples == 1, info.format == 1, [8, 16, 32, 64].contains(info.bits) else {
      throw .unsupported(
        path: path, reason: "page \(index + 1) does not hold one unsigned whole number of 8 to 64 bits a pixel")
    }
    return try labels(bits: Int(info.bits), count: shape.1 * shape.2) { buffer throws(VolumeError) in
      try tiff.read(into: buffer)
    }
  }
}

private final class FolderLabels: LabelBacking {
  private let files: [String]
  let shape: (Int, Int, Int)

  convenience init(_ folder: String) throws(VolumeError) {
    let endings = [".png", ".tif", ".tiff"]
    let names = try Files.names(in: folder).filter { name in
      !name.hasPrefix(".") && endings.contains { name.lowercased().hasSuffix($0) }
    }
    guard !names.isEmpty else { throw .unsupported(path: folder, reason: "no PNG or TIFF files are in it") }
    try self.init(files: names.sorted(by: NaturalOrder.precedes).map { folder + "/" + $0 })
  }

  init(files: [String]) throws(VolumeError) {
    self.files = files
    let first = try Self.size(files[0])
    shape = (files.count, first.height, first.width)
  }

  private static func isPNG(_ path: String) -> Bool { path.lowercased().hasSuffix(".png") }

  private static func size(_ path: String) throws(VolumeError) -> (height: Int, width: Int) {
    if !isPNG(path) {
      let tiff = try TIFFLabels(path)
      return (tiff.shape.1, tiff.shape.2)
    }
    let info = try info(path)
    return (Int(info.height), Int(info.width))
  }

  private static func info(_ path: String) throws(VolumeError) -> cimages_info {
    var info = cimages_info()
    let message = CMessage()
    guard cimages_png_info(path, &info, message.pointer) == 0 else { throw .corrupt(path: path, reason: message.text) }
    guard info.photometric == 1, info.samples == 1 else {
      throw .unsupported(path: path, reason: "a label plane has one number a pixel; this one has colours or alpha")
    }
    return info
  }

  func read(_ index: Int) throws(VolumeError) -> [UInt64] {
    let path = files[index]
    let size = try Self.size(path)
    guard size.height == shape.1, size.width == shape.2 else {
      throw .unsupported(path: path, reason: "it is of another size than the first plane")
    }
    guard Self.isPNG(path) else {
      let tiff = try TIFFLabels(path)
      guard tiff.shape.0 == 1 else { throw .unsupported(path: path, reason: "a plane of \(tiff.shape.0) pages") }
      return try tiff.read(0)
    }
    let bits = try Self.info(path).bits == 16 ? 16 : 8
    return try labels(bits: bits, count: size.height * size.width) { buffer throws(VolumeError) in
      let message = CMessage()
      guard cimages_png_read(path, 0, buffer.baseAddress, buffer.count, message.pointer) == 0 else {
        throw .corrupt(path: path, reason: message.text)
      }
    }
  }
}

/// Reads `count` numbers of `bits` each and widens them.
private func labels(
  bits: Int, count: Int, _ read: (UnsafeMutableRawBufferPointer) throws(VolumeError) -> Void
) throws(VolumeError) -> [UInt64] {
  func widened<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(VolumeError) -> [UInt64] {
    var raw = [T](repeating: 0, count: count)
    try raw.fill { buffer throws(VolumeError) in try read(buffer) }
    return raw.withUnsafeBufferPointer { source in
      [UInt64](unsafeUninitializedCapacity: count) { target, filled in
        for i in 0..<count { target[i] = UInt64(truncatingIfNeeded: source[i]) }
        filled = count
      }
    }
  }
  switch bits {
  case 8: return try widened(UInt8.self)
  case 16: return try widened(UInt16.self)
  case 32: return try widened(UInt32.self)
  default: return try widened(UInt64.self)
  }
}
