/// The superblock of an HDF5 file, and whether the file reaches as far as it says. What is inside is looked at by a program of its
/// own (`HDF5Helper`).
enum HDF5Structure {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  static func inspect(
    _ file: borrowing FileBytes, _ path: String, dataset: String?
  ) throws(FormatFault) -> InspectedImage {
    try checkEnd(file)
    let picture = try HDF5Helper.describe(path, dataset: dataset, fileSize: file.size)
    return InspectedImage(kind: .hdf5(picture), facts: picture.facts, fileSize: file.size)
  }

  private static func checkEnd(_ file: borrowing FileBytes) throws(FormatFault) {
    guard let head = file.read(at: 0, count: 48) else { throw .incomplete("the file ends within its superblock") }
    let version = head[8]
    let isOld = version < 2
    guard version <= 3 else { throw .unusable("an HDF5 superblock of version \(version)") }
    let width = Int(head[isOld ? 13 : 9])
    guard width == 4 || width == 8 else {
      if head[9...].allSatisfy({ $0 == 0 }) { throw .incomplete("its superblock is not written yet") }
      throw .unusable("HDF5 addresses of \(width) bytes")
    }
    if version == 3, head[11] & 1 != 0 { throw .incomplete("it is open for writing in another program") }
    // Base address, then one other address, then the end of the file.
    let base = isOld ? (version == 0 ? 24 : 28) : 12
    guard let addresses = file.read(at: base, count: 3 * width) else {
      throw .incomplete("the file ends within its superblock")
    }
    let end = TIFFHeader.number(addresses, 2 * width, width, false)
    guard end <= file.size else {
      throw .incomplete("it has \(end) bytes by its superblock, the file has \(file.size)")
    }
  }
}

/// A dataset whose planes are sections.
struct HDF5Picture: Equatable {
  var dataset: String
  var facts: ImageFacts
}
