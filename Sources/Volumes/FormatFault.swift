/// Why a file is not a picture that is taken in.
enum FormatFault: Error {
  /// More bytes may come.
  case incomplete(String)
  /// Will not become usable by waiting.
  case unusable(String)
  /// Says nothing about the picture: the file cannot be opened, or its disk fails.
  case unreadable(String)
}

/// What `ImageReader` needs to know before it decodes.
struct InspectedImage: Sendable {
  enum Kind: Sendable {
    /// Bytes of the file at which the sections' directories are.
    case tiff(directories: [Int])
    case png
    /// Planes one after the other, uncompressed, from byte `offset` on.
    case raw(offset: Int, bigEndian: Bool)
    case hdf5(HDF5Picture)
  }
  var kind: Kind
  var facts: ImageFacts
  /// White is stored as 0.
  var inverted = false
  var fileSize: Int

  /// Bytes of one section's decoded pixels.
  var decodedSize: Int { facts.height * facts.width * facts.pixels.bytes }
}
