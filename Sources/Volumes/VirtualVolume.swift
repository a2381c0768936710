import CHDF5
public import Domain

/// The stack as one array: an HDF5 file of virtual datasets over the section files.
public enum VirtualVolume {
  /// Datasets a volume can show.
  public static let datasets = ["fragments", "affinities", "image"]

  /// Writes the file at `path`: `fragments` uint32 and `image` uint8 [Z, H, W], `affinities` uint8 [3, Z, H, W].
  ///
  /// Plane i is the section `z_offset + i` (attribute of each dataset). The section files are named relative to the
  /// volume's folder, so the folder can be moved; a section that is not there reads as 0.
  ///
  /// - Parameter entries: Section numbers and file names relative to the folder of `path`; each z at most once,
  ///   at least one.
  /// - Throws: `VolumeError.unwritable`, `.noSpace`; an older file at `path` is then untouched.
  public static func write(
    _ path: String, entries: [(z: SectionNumber, file: String)], height: Int, width: Int,
    datasets: [String] = VirtualVolume.datasets
  ) throws(VolumeError) {
    let sorted = entries.sorted { $0.z < $1.z }
    if let refusal = refusal(sorted, height, width, datasets) { throw .unwritable(path: path, reason: refusal) }
    try HDF5.enter { () throws(VolumeError) in
      let output = try H5Output(path)
      do throws(VolumeError) {
        for name in datasets {
          let layout = Layout(name: name, entries: sorted, height: height, width: width)
          try layout.write(H5Writer(context: output.context, place: output.raw))
        }
      } catch {
        output.abandon()
        throw error
      }
      try output.finish()
    }
    try Files.commit(Files.temporary(for: path), to: path)
  }

  private static func refusal(
    _ sorted: [(z: SectionNumber, file: String)], _ height: Int, _ width: Int, _ names: [String]
  ) -> String? {
    if sorted.isEmpty { return "a volume without sections" }
    if let twice = zip(sorted, sorted.dropFirst()).first(where: { $0.z == $1.z }) {
      return "section \(twice.0.z) is given twice"
    }
    if let unknown = names.first(where: { !datasets.contains($0) }) { return "there is no dataset \(unknown)" }
    return ImageProbe.refusal(height: height, width: width)
  }
}

/// One virtual dataset.
private struct Layout {
  let name: String
  let entries: [(z: SectionNumber, file: String)]
  let height: Int
  let width: Int

  /// Leading axis of the source, if any.
  private var channels: [hsize_t] { name == "affinities" ? [3] : [] }

  func write(_ writer: H5Writer) throws(VolumeError) {
    let context = writer.context
    let first = Int(entries[0].z)
    let depth = Int(entries[entries.count - 1].z) - first + 1
    let plane = [hsize_t(height), hsize_t(width)]
    let shape = channels + [hsize_t(depth)] + plane
    let target = try H5ID(H5Screate_simple(Int32(shape.count), shape, nil), context)
    let source = try H5ID(H5Screate_simple(Int32(shape.count - 1), channels + plane, nil), context)
    let creation = try H5ID(H5Pcreate(chdf5_class_dataset_create()), context)
    try context.check(H5Pset_obj_track_times(creation.raw, false))
    let size = channels + [1] + plane
    for entry in entries {
      let start = channels.map { _ in 0 } + [hsize_t(Int(entry.z) - first), 0, 0]
      try context.check(H5Sselect_hyperslab(target.raw, H5S_SELECT_SET, start, nil, size, nil))
      // "%" begins a pattern in a source's name.
      let file = entry.file.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%")
      try context.check(H5Pset_virtual(creation.raw, target.raw, file, "/" + name, source.raw))
    }
    try context.check(H5Sselect_all(target.raw))
    let type = name == "fragments" ? chdf5_u32() : chdf5_u8()
    let dataset = try H5ID(
      H5Dcreate2(writer.place, name, type, target.raw, chdf5_default(), creation.raw, chdf5_default()), context)
    try H5Writer(context: context, place: dataset.raw).attribute("z_offset", .i64, [Int64(first)])
  }
}
