import CHDF5
import CVolumes
import Glibc

/// An HDF5 file being written under a temporary name. Ids inside it are closed with it.
struct H5Output {
  let context: H5Context
  let temporary: String
  let raw: hid_t

  /// Makes the hidden file beside `path`.
  init(_ path: String) throws(VolumeError) {
    let context = H5Context(path: path, mode: .writing)
    let temporary = Files.temporary(for: path)
    let access = try H5ID(H5Pcreate(chdf5_class_file_access()), context)
    // 1.10 formats carry checksums over all metadata.
    try context.check(H5Pset_libver_bounds(access.raw, H5F_LIBVER_V110, H5F_LIBVER_V110))
    try context.check(H5Pset_fclose_degree(access.raw, H5F_CLOSE_STRONG))
    // Files are replaced by rename, never changed: locks would only make trouble on network file systems.
    try context.check(H5Pset_file_locking(access.raw, false, true))
    let creation = try H5ID(H5Pcreate(chdf5_class_file_create()), context)
    try context.check(H5Pset_obj_track_times(creation.raw, false))
    var number: Int32 = 0
    let raw = cvolumes_h5_create(temporary, creation.raw, access.raw, &number)
    if raw < 0 {
      let failure = number == 0 ? context.failure() : VolumeError.writing(path, number: number)
      unlink(temporary)
      throw failure
    }
    self.context = context
    self.temporary = temporary
    self.raw = raw
  }

  /// - Throws: When a write has failed. HDF5 itself does not notice (see `SafeDriver.h`), so this is asked after each
  ///   larger step, and at the end.
  func checkWrites() throws(VolumeError) {
    let number = cvolumes_h5_write_error(raw)
    if number != 0 { throw .writing(context.path, number: number) }
  }

  /// Writes everything to the file and closes it.
  func finish() throws(VolumeError) {
    do throws(VolumeError) {
      try context.check(H5Fflush(raw, H5F_SCOPE_GLOBAL))
      try checkWrites()
    } catch {
      abandon()
      throw error
    }
    let number = cvolumes_h5_close(raw)
    guard number == 0 else {
      unlink(temporary)
      throw .writing(context.path, number: number)
    }
  }

  /// Closes and removes the file.
  func abandon() {
    H5Fclose(raw)
    unlink(temporary)
  }
}

/// Writing of groups, datasets and attributes below one place of a file.
struct H5Writer {
  let context: H5Context
  let place: hid_t

  func group(_ name: String) throws(VolumeError) -> H5ID {
    let creation = try H5ID(H5Pcreate(chdf5_class_group_create()), context)
    try context.check(H5Pset_obj_track_times(creation.raw, false))
    return try H5ID(H5Gcreate2(place, name, chdf5_default(), creation.raw, chdf5_default()), context)
  }

  /// Makes a dataset, compressed (with zlib's checksum in every chunk) when it holds anything. It is to be filled by `write`.
  func dataset(_ name: String, _ element: H5Element, _ shape: [Int], chunk: [Int]) throws(VolumeError) -> H5ID {
    let dimensions = shape.map { hsize_t($0) }
    let space = try H5ID(H5Screate_simple(Int32(shape.count), dimensions, nil), context)
    let creation = try H5ID(H5Pcreate(chdf5_class_dataset_create()), context)
    try context.check(H5Pset_obj_track_times(creation.raw, false))
    if shape.allSatisfy({ $0 > 0 }) {
      let sides = zip(shape, chunk).map { hsize_t(min($0, $1)) }
      try context.check(H5Pset_chunk(creation.raw, Int32(sides.count), sides))
      if element.bytes > 1 { try context.check(H5Pset_shuffle(creation.raw)) }
      try context.check(H5Pset_deflate(creation.raw, 1))
    }
    return try H5ID(
      H5Dcreate2(place, name, element.type, space.raw, chdf5_default(), creation.raw, chdf5_default()), context)
  }

  /// Writes a whole one- or two-dimensional dataset.
  func write<T: BitwiseCopyable>(
    _ name: String, _ element: H5Element, _ shape: [Int], _ values: [T], chunk: [Int]
  ) throws(VolumeError) {
    precondition(MemoryLayout<T>.stride == element.bytes && shape.reduce(1, *) == values.count)
    let made = try dataset(name, element, shape, chunk: chunk)
    if values.isEmpty { return }
    try writeBox(made.raw, offset: shape.map { _ in 0 }, shape, values)
  }

  /// Writes plane `index` of a three-dimensional dataset whose chunks are one plane high.
  func writePlane<T: BitwiseCopyable>(
    _ index: Int, of dataset: hid_t, _ element: H5Element, height: Int, width: Int, _ values: [T]
  ) throws(VolumeError) {
    precondition(MemoryLayout<T>.stride == element.bytes && values.count == height * width)
    try writeBox(dataset, offset: [index, 0, 0], [1, height, width], values)
  }

  /// Writes whole chunks.
  private func writeBox<T: BitwiseCopyable>(
    _ dataset: hid_t, offset: [Int], _ size: [Int], _ values: [T]
  ) throws(VolumeError) {
    let status = values.withUnsafeBytes {
      cvolumes_h5_write_box(dataset, offset.map { hsize_t($0) }, size.map { hsize_t($0) }, $0.baseAddress)
    }
    guard status != -2 else { throw .unwritable(path: context.path, reason: "there is no memory to pack it") }
    try context.check(status)
  }

  /// A text attribute, fixed length (so that it lies inside the checksummed header), UTF-8.
  func attribute(_ name: String, _ text: String) throws(VolumeError) {
    var bytes = Array(text.utf8)
    if bytes.isEmpty { bytes = [0] }
    let type = try H5ID(H5Tcopy(chdf5_c_string()), context)
    try context.check(H5Tset_size(type.raw, bytes.count))
    try context.check(H5Tset_cset(type.raw, H5T_CSET_UTF8))
    try context.check(H5Tset_strpad(type.raw, H5T_STR_NULLPAD))
    let space = try H5ID(H5Screate(H5S_SCALAR), context)
    try attribute(name, type.raw, space.raw, bytes)
  }

  /// A numeric attribute: a scalar for one value, otherwise a list.
  func attribute<T: BitwiseCopyable>(_ name: String, _ element: H5Element, _ values: [T]) throws(VolumeError) {
    precondition(MemoryLayout<T>.stride == element.bytes && !values.isEmpty)
    let space =
      values.count == 1
      ? try H5ID(H5Screate(H5S_SCALAR), context)
      : try H5ID(H5Screate_simple(1, [hsize_t(values.count)], nil), context)
    try attribute(name, element.type, space.raw, values)
  }

  private func attribute<T: BitwiseCopyable>(
    _ name: String, _ type: hid_t, _ space: hid_t, _ values: [T]
  ) throws(VolumeError) {
    let made = try H5ID(H5Acreate2(place, name, type, space, chdf5_default(), chdf5_default()), context)
    let status = values.withUnsafeBytes { H5Awrite(made.raw, type, $0.baseAddress) }
    try context.check(status)
  }
}
