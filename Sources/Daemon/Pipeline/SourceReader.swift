import Intake
import Synchronization
import Volumes

/// Reads the microscope's files as a volume's options say.
final class SourceReader: Sendable {
  let options: ImageOptions
  /// The file that was read last, by its state: a stack's sections follow each other.
  private let last = Mutex<(status: FileStatus, file: InspectedFile)?>(nil)

  init(options: ImageOptions) { self.options = options }

  /// A section and the name of its content: the SHA-256 of the file's bytes, or, where the numbers had to be mapped or the file may
  /// grow by further sections, of the grey values.
  /// - Parameter expected: the size and time the file must have, if that is known.
  /// - Throws: `.changed` if it is not the same file from the first byte read to the last.
  func read(
    _ path: String, plane: Int, expected: (size: Int64, mtimeNs: Int64)? = nil
  ) throws(VolumeError) -> (image: SectionImage, sha256: String) {
    let before = FileStatus(ofFile: path)
    if let before, let expected, (before.size, before.modified) != expected { throw .changed(path: path) }
    let isWholeFile = options.stack == .refuse
    let fileHash = isWholeFile ? try ContentHash.sha256(ofFile: path) : ""
    let image = try ImageReader.read(inspected(path, before), section: plane)
    guard FileStatus(ofFile: path) == before else { throw .changed(path: path) }
    if isWholeFile, image.isVerbatim { return (image, fileHash) }
    return (image, try ContentHash.sha256(of: image))
  }

  private func inspected(_ path: String, _ status: FileStatus?) throws(VolumeError) -> InspectedFile {
    if let known = last.withLock({ $0 }), known.status == status { return known.file }
    let file = try ImageReader.inspect(path, options)
    last.withLock { $0 = status.map { (status: $0, file: file) } }
    return file
  }
}
