import CHDF5
import Domain

/// An HDF5 file open for reading.
final class H5Input {
  let context: H5Context
  let raw: hid_t

  /// - Throws: `.unreadable` when the file cannot be opened at all, `.corrupt` when it is no HDF5 file or cut short.
  init(_ path: String) throws(VolumeError) {
    do throws(SystemFailure) {
      _ = try FileBytes(path: path)
    } catch {
      throw .unreadable(path: path, reason: Files.message(error.number))
    }
    let context = H5Context(path: path, mode: .reading)
    let access = try H5ID(H5Pcreate(chdf5_class_file_access()), context)
    try context.check(H5Pset_fclose_degree(access.raw, H5F_CLOSE_STRONG))
    try context.check(H5Pset_file_locking(access.raw, false, true))
    let raw = H5Fopen(path, chdf5_readonly(), access.raw)
    if raw < 0 { throw context.failure() }
    self.context = context
    self.raw = raw
  }

  deinit { H5Fclose(raw) }

  func reader() -> H5Reader { H5Reader(context: context, place: raw) }
}

/// Reading of groups, datasets and attributes below one place of a file.
struct H5Reader {
  let context: H5Context
  let place: hid_t

  func has(_ name: String) -> Bool { H5Lexists(place, name, chdf5_default()) > 0 }

  func group(_ name: String) throws(VolumeError) -> H5ID {
    try H5ID(H5Gopen2(place, name, chdf5_default()), context)
  }

  func dataset(_ name: String) throws(VolumeError) -> H5ID {
    try H5ID(H5Dopen2(place, name, chdf5_default()), context)
  }

  func shape(of dataset: hid_t) throws(VolumeError) -> [Int] {
    let space = try H5ID(H5Dget_space(dataset), context)
    let rank = H5Sget_simple_extent_ndims(space.raw)
    guard rank >= 0, rank <= 32 else { throw context.failure() }
    var sides = [hsize_t](repeating: 0, count: max(1, Int(rank)))
    guard H5Sget_simple_extent_dims(space.raw, &sides, nil) >= 0 else { throw context.failure() }
    return sides.prefix(Int(rank)).map { Int(clamping: $0) }
  }

  /// Reads a whole dataset, which must be of rank `rank`. Values beyond `largest` in number are refused.
  func read<T: BitwiseCopyable>(
    _ name: String, _ element: H5Element, rank: Int, zero: T, largest: Int = 1 << 33
  ) throws(VolumeError) -> (shape: [Int], values: [T]) {
    precondition(MemoryLayout<T>.stride == element.bytes)
    let opened = try dataset(name)
    let shape = try shape(of: opened.raw)
    var count = 1
    for side in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: side)
      guard !overflow, product <= largest else { throw damaged("\(name) has the impossible shape \(shape)") }
      count = product
    }
    guard shape.count == rank else { throw damaged("\(name) has \(shape.count) axes instead of \(rank)") }
    var values = [T](repeating: zero, count: count)
    if count > 0 {
      let status = values.withUnsafeMutableBytes {
        H5Dread(opened.raw, element.type, chdf5_all(), chdf5_all(), chdf5_default(), $0.baseAddress)
      }
      try context.check(status)
    }
    return (shape, values)
  }

  /// Reads plane `index` of a three-dimensional dataset.
  func readPlane<T: BitwiseCopyable>(
    _ index: Int, of dataset: hid_t, _ element: H5Element, height: Int, width: Int, into values: inout [T]
  ) throws(VolumeError) {
    precondition(MemoryLayout<T>.stride == element.bytes && values.count == height * width)
    let source = try H5ID(H5Dget_space(dataset), context)
    let size: [hsize_t] = [1, hsize_t(height), hsize_t(width)]
    try context.check(H5Sselect_hyperslab(source.raw, H5S_SELECT_SET, [hsize_t(index), 0, 0], nil, size, nil))
    let memory = try H5ID(H5Screate_simple(3, size, nil), context)
    let status = values.withUnsafeMutableBytes {
      H5Dread(dataset, element.type, memory.raw, source.raw, chdf5_default(), $0.baseAddress)
    }
    try context.check(status)
  }

  /// Reads a window of a two-dimensional dataset, or of plane `index` of a three-dimensional one.
  func readWindow<T: BitwiseCopyable>(
    _ name: String, index: Int? = nil, _ element: H5Element, _ window: PlaneWindow, zero: T
  ) throws(VolumeError) -> [T] {
    precondition(MemoryLayout<T>.stride == element.bytes)
    let opened = try dataset(name)
    let shape = try shape(of: opened.raw)
    let leading = index == nil ? 0 : 1
    guard shape.count == 2 + leading, window.rows.upperBound <= shape[leading],
      window.columns.upperBound <= shape[leading + 1], index ?? 0 < (index == nil ? 1 : shape[0])
    else { throw damaged("\(name) has the shape \(shape)") }
    var values = [T](repeating: zero, count: window.pixels)
    if values.isEmpty { return values }
    let source = try H5ID(H5Dget_space(opened.raw), context)
    let start =
      (index.map { [hsize_t($0)] } ?? []) + [hsize_t(window.rows.lowerBound), hsize_t(window.columns.lowerBound)]
    let size = (index == nil ? [] : [1]) + [hsize_t(window.height), hsize_t(window.width)]
    try context.check(H5Sselect_hyperslab(source.raw, H5S_SELECT_SET, start, nil, size, nil))
    let memory = try H5ID(H5Screate_simple(Int32(size.count), size, nil), context)
    let status = values.withUnsafeMutableBytes {
      H5Dread(opened.raw, element.type, memory.raw, source.raw, chdf5_default(), $0.baseAddress)
    }
    try context.check(status)
    return values
  }

  func integer(_ name: String) throws(VolumeError) -> Int64 {
    let opened = try H5ID(H5Aopen(place, name, chdf5_default()), context)
    var value: Int64 = 0
    try scalar(opened.raw, name)
    try context.check(H5Aread(opened.raw, chdf5_i64(), &value))
    return value
  }

  /// An attribute of three numbers; nil if there is none of that name and shape.
  func triple(_ name: String) throws(VolumeError) -> [Double]? {
    guard H5Aexists(place, name) > 0 else { return nil }
    let opened = try H5ID(H5Aopen(place, name, chdf5_default()), context)
    let space = try H5ID(H5Aget_space(opened.raw), context)
    let type = try H5ID(H5Aget_type(opened.raw), context)
    let kind = H5Tget_class(type.raw)
    guard H5Sget_simple_extent_npoints(space.raw) == 3, kind == H5T_FLOAT || kind == H5T_INTEGER else { return nil }
    var values = [0.0, 0, 0]
    try context.check(H5Aread(opened.raw, chdf5_f64(), &values))
    return values
  }

  /// All text attributes of this place.
  func texts() throws(VolumeError) -> [String: String] {
    var info = H5O_info_t()
    try context.check(H5Oget_info2(place, &info, UInt32(H5O_INFO_NUM_ATTRS)))
    var texts: [String: String] = [:]
    for i in 0..<info.num_attrs {
      let opened = try H5ID(
        H5Aopen_by_idx(place, ".", H5_INDEX_NAME, H5_ITER_INC, i, chdf5_default(), chdf5_default()), context)
      let length = H5Aget_name(opened.raw, 0, nil)
      guard length > 0, length < 65536 else { throw context.failure() }
      var name = [CChar](repeating: 0, count: length + 1)
      guard H5Aget_name(opened.raw, name.count, &name) == length else { throw context.failure() }
      let key = String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      texts[key] = try text(opened.raw, key)
    }
    return texts
  }

  private func text(_ attribute: hid_t, _ name: String) throws(VolumeError) -> String {
    let type = try H5ID(H5Aget_type(attribute), context)
    let size = H5Tget_size(type.raw)
    guard H5Tget_class(type.raw) == H5T_STRING, H5Tis_variable_str(type.raw) == 0, size > 0, size <= 1 << 26 else {
      throw damaged("the attribute \(name) is no text")
    }
    try scalar(attribute, name)
    var bytes = [UInt8](repeating: 0, count: size)
    try context.check(H5Aread(attribute, type.raw, &bytes))
    while bytes.last == 0 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func scalar(_ attribute: hid_t, _ name: String) throws(VolumeError) {
    let space = try H5ID(H5Aget_space(attribute), context)
    guard H5Sget_simple_extent_npoints(space.raw) == 1 else {
      throw damaged("the attribute \(name) is no single value")
    }
  }

  func damaged(_ reason: String) -> VolumeError { .corrupt(path: context.path, reason: reason) }
}
