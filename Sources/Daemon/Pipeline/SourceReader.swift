import Volumes

/// Reads the microscope's files as a volume's options say.
struct SourceReader {
  let options: ImageOptions

  /// A section and the name of its content: the SHA-256 of the file's bytes, or, where the numbers had to be mapped or the file may
  /// grow by further sections, of the grey values.
  func read(_ path: String, plane: Int) throws(VolumeError) -> (image: SectionImage, sha256: String) {
    let isWholeFile = options.stack == .refuse
    // Before the pixels: a file replaced in between is read again under its own hash.
    let fileHash = isWholeFile ? try ContentHash.sha256(ofFile: path) : ""
    let image = try ImageReader.read(path, section: plane, options)
    if isWholeFile, image.isVerbatim { return (image, fileHash) }
    return (image, try ContentHash.sha256(of: image))
  }
}
