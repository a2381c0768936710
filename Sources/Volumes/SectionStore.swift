import CHDF5
import Glibc

/// One HDF5 file per section in one folder. A file appears under its name only when it is whole and on the disk.
///
/// Layout: `/image` uint8 [H, W]; `/image16` uint16 [H, W] where the source had 16 bits; `/affinities` uint8 [3, H, W]
/// in the order z, y, x; `/coarse_affinities` uint8 [3, H / 2, W / 2], rounded up, in the same order, with the attribute `stride`
/// (2), where they are kept; `/fragments` uint32 [H, W]; `/graph/*` and `/summaries/*` flat arrays; attributes of
/// `/provenance` the text attributes; root attributes `format` (1) and `z`. Everything is checksummed. Equal products
/// give equal bytes.
public struct SectionStore: Sendable {
  /// The folder of the files.
  public let directory: String

  public init(directory: String) { self.directory = directory }

  /// Path of the file `name`.
  public func path(_ name: String) -> String { directory + "/" + name }

  /// Writes a section under `name`, replacing what was there.
  ///
  /// - Throws: `VolumeError.noSpace` or `.unwritable`; an older file of the name is then untouched and nothing
  ///   new is left behind.
  public func write(_ products: SectionProducts, name: String) throws(VolumeError) {
    let path = try checkedPath(name)
    try HDF5.enter { () throws(VolumeError) in
      let output = try H5Output(path)
      do throws(VolumeError) {
        try SectionEncoder(output: output).encode(products)
      } catch {
        output.abandon()
        throw error
      }
      try output.finish()
    }
    try Files.commit(Files.temporary(for: path), to: path)
  }

  /// Reads the parts asked for; a part the file does not have is nil.
  ///
  /// - Throws: `VolumeError.corrupt` for a damaged or cut file, `.unreadable` when it cannot be opened.
  public func read(_ name: String, parts: SectionParts = .all) throws(VolumeError) -> SectionProducts {
    let path = try checkedPath(name)
    return try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      return try SectionDecoder(reader: input.reader()).decode(parts)
    }
  }

  /// The text attributes alone.
  /// - Throws: As `read`.
  public func attributes(_ name: String) throws(VolumeError) -> [String: String] {
    try read(name, parts: []).attributes
  }

  /// Removes a section's file. One that does not exist is no error.
  /// - Throws: `VolumeError.unwritable`.
  public func remove(_ name: String) throws(VolumeError) {
    let path = try checkedPath(name)
    guard unlink(path) == 0 || errno == ENOENT else { throw .writing(path, number: errno) }
  }

  /// Removes what an interrupted write left behind. Not to be called while another thread writes to the folder.
  /// - Returns: The names removed.
  /// - Throws: `VolumeError.unreadable` or `.unwritable`.
  @discardableResult
  public func removeTemporaries() throws(VolumeError) -> [String] {
    var removed: [String] = []
    for name in try Files.names(in: directory) where name.hasPrefix(".") && name.hasSuffix(".tmp") {
      guard unlink(path(name)) == 0 || errno == ENOENT else { throw .writing(path(name), number: errno) }
      removed.append(name)
    }
    return removed
  }

  func checkedPath(_ name: String) throws(VolumeError) -> String {
    guard !name.isEmpty, !name.hasPrefix("."), !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 }) else {
      throw .unwritable(path: path(name), reason: "\"\(name)\" is no name for a section file")
    }
    return path(name)
  }
}
