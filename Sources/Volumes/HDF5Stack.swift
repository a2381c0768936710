import CHDF5

/// A dataset [y, x] or [z, y, x]; axes of length 1 before these are passed over.
struct HDF5Stack: ~Copyable {
  private let dataset: H5ID
  private let context: H5Context
  /// Of the dataset's own axes.
  private let shape: [Int]
  let pixels: PixelType
  /// z, y, x; nil if there is no attribute that says so.
  let nanometres: [Double]?
  /// Bytes on the disk.
  let stored: Int

  var height: Int { shape[shape.count - 2] }
  var width: Int { shape[shape.count - 1] }
  var sections: Int { shape.dropLast(2).reduce(1, *) }

  /// - Throws: `.unsupported` for a dataset of another kind.
  init(_ name: String, _ reader: H5Reader) throws(VolumeError) {
    let context = reader.context
    let dataset = try reader.dataset(name)
    let shape = try reader.shape(of: dataset.raw)
    let unsupported = { (reason: String) in VolumeError.unsupported(path: reader.context.path, reason: reason) }
    guard shape.count >= 2, shape.allSatisfy({ $0 >= 1 && $0 <= 1 << 31 }),
      shape.dropLast(2).count(where: { $0 > 1 }) <= 1
    else { throw unsupported("\(name) has the shape \(shape), not [y, x] or [z, y, x]") }
    let type = try H5ID(H5Dget_type(dataset.raw), context)
    guard let pixels = Self.pixels(type.raw) else { throw unsupported("\(name) does not hold numbers that are read") }
    let creation = try H5ID(H5Dget_create_plist(dataset.raw), context)
    guard H5Pget_layout(creation.raw) != H5D_VIRTUAL, H5Pget_external_count(creation.raw) == 0 else {
      throw unsupported("the pixels of \(name) are in other files")
    }
    let stored = Int(clamping: H5Dget_storage_size(dataset.raw))
    let attributes = H5Reader(context: context, place: dataset.raw)
    var nanometres = try attributes.triple("resolution")
    if nanometres == nil { nanometres = try attributes.triple("element_size_um").map { $0.map { $0 * 1000 } } }
    self.dataset = dataset
    self.context = context
    self.shape = shape
    self.pixels = pixels
    self.nanometres = nanometres
    self.stored = stored
  }

  /// What the numbers are read as. Integers of 64 bits become doubles, floats of 16 bits floats.
  private static func pixels(_ type: hid_t) -> PixelType? {
    switch (H5Tget_class(type), H5Tget_size(type), H5Tget_sign(type)) {
    case (H5T_INTEGER, 1, H5T_SGN_NONE): .u8
    case (H5T_INTEGER, 1, _): .i8
    case (H5T_INTEGER, 2, H5T_SGN_NONE): .u16
    case (H5T_INTEGER, 2, _): .i16
    case (H5T_INTEGER, 4, H5T_SGN_NONE): .u32
    case (H5T_INTEGER, 4, _): .i32
    case (H5T_INTEGER, 8, _), (H5T_FLOAT, 8, _): .f64
    case (H5T_FLOAT, 2, _), (H5T_FLOAT, 4, _): .f32
    default: nil
    }
  }

  private var memoryType: hid_t {
    switch pixels {
    case .u8: chdf5_u8()
    case .i8: chdf5_i8()
    case .u16: chdf5_u16()
    case .i16: chdf5_i16()
    case .u32: chdf5_u32()
    case .i32: chdf5_i32()
    case .f16, .f32: chdf5_f32()
    case .f64: chdf5_f64()
    }
  }

  /// One plane in the machine's byte order; nil if it does not have `bytes` or is not there.
  func read(_ plane: Int, bytes: Int) throws(VolumeError) -> [UInt8]? {
    guard plane < sections, height <= ImageProbe.largestSide, width <= ImageProbe.largestSide,
      height * width * pixels.bytes == bytes
    else { return nil }
    let source = try H5ID(H5Dget_space(dataset.raw), context)
    let leading = shape.dropLast(2).map { $0 > 1 ? hsize_t(plane) : 0 }
    let size = leading.map { _ in hsize_t(1) } + [hsize_t(height), hsize_t(width)]
    try context.check(H5Sselect_hyperslab(source.raw, H5S_SELECT_SET, leading + [0, 0], nil, size, nil))
    let memory = try H5ID(H5Screate_simple(Int32(size.count), size, nil), context)
    var values = [UInt8](repeating: 0, count: bytes)
    let status = values.withUnsafeMutableBytes {
      H5Dread(dataset.raw, memoryType, memory.raw, source.raw, chdf5_default(), $0.baseAddress)
    }
    try context.check(status)
    return values
  }
}
