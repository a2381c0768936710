import Domain

/// Reads the image of one section. docs/formats.md says what is read and how numbers become grey values.
public enum ImageReader {
  /// Reads section `section` (from 0) of a greyscale TIFF, PNG, MRC, DM3, DM4 or HDF5 file. White-is-zero pictures are
  /// turned round, so black is always 0.
  ///
  /// - Throws: `VolumeError.corrupt` for a file cut short or damaged, `.unsupported` for another kind of picture,
  ///   `.unreadable` when it cannot be opened. Memory: the result, 2 bytes a pixel, and at most 64 MiB; 1 byte a pixel more for 8-bit
  ///   pictures, and for PNG with a range its numbers.
  public static func read(
    _ path: String, section: Int = 0, _ options: ImageOptions = ImageOptions()
  ) throws(VolumeError) -> SectionImage {
    try read(inspect(path, options), section: section)
  }

  /// Looks at a file's structure, for its sections to be read one after the other.
  /// - Throws: As `read`.
  public static func inspect(_ path: String, _ options: ImageOptions) throws(VolumeError) -> InspectedFile {
    do throws(FormatFault) {
      return InspectedFile(path: path, options: options, image: try ImageProbe.inspect(path, options))
    } catch {
      switch error {
      case .incomplete(let reason): throw .corrupt(path: path, reason: reason)
      case .unusable(let reason): throw .unsupported(path: path, reason: reason)
      case .unreadable(let reason): throw .unreadable(path: path, reason: reason)
      }
    }
  }

  /// Reads section `section` (from 0) of a file that has not changed since it was inspected.
  /// - Throws: As for a path; `.changed` if it is seen to have changed.
  public static func read(_ file: InspectedFile, section: Int) throws(VolumeError) -> SectionImage {
    try read(file, section: section, wholeUpTo: 64 << 20, bandBytes: 16 << 20)
  }

  /// - Parameter wholeUpTo: bytes of decoded numbers that are held at once, where they are not the result; more go by bands.
  static func read(
    _ file: InspectedFile, section: Int, wholeUpTo: Int, bandBytes: Int
  ) throws(VolumeError) -> SectionImage {
    let (path, image) = (file.path, file.image)
    guard section >= 0, section < image.facts.sections else {
      throw .corrupt(
        path: path, reason: "it holds \(image.facts.sections) sections now, section \(section + 1) is gone")
    }
    var read = try IntensityMapping.image(
      image.facts, inverted: image.inverted, range: file.options.intensityRange, path: path,
      decoder: ImageDecoder(path: path, image: image, section: section, bandBytes: bandBytes), wholeUpTo: wholeUpTo)
    read.pixelSize = image.facts.pixelSize
    return read
  }
}

/// An image file whose structure was looked at.
public struct InspectedFile: Sendable {
  public let path: String
  /// How it is read.
  public let options: ImageOptions
  let image: InspectedImage
  /// What it says of itself.
  public var facts: ImageFacts { image.facts }
}
