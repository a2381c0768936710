import CVolumes
import Domain
import Glibc

/// Reads the image of one section. docs/formats.md says what is read and how numbers become grey values.
public enum ImageReader {
  /// Reads section `section` (from 0) of a greyscale TIFF, PNG, MRC, DM3, DM4 or HDF5 file. White-is-zero pictures are
  /// turned round, so black is always 0.
  ///
  /// - Throws: `VolumeError.corrupt` for a file cut short or damaged, `.unsupported` for another kind of picture,
  ///   `.unreadable` when it cannot be opened. Memory stays within a few times the picture's own size.
  public static func read(
    _ path: String, section: Int = 0, _ options: ImageOptions = ImageOptions()
  ) throws(VolumeError) -> SectionImage {
    let image: InspectedImage
    do throws(FormatFault) { image = try ImageProbe.inspect(path, options) } catch {
      switch error {
      case .incomplete(let reason):
        guard Files.exists(path) else { throw .unreadable(path: path, reason: Files.message(ENOENT)) }
        throw .corrupt(path: path, reason: reason)
      case .unusable(let reason): throw .unsupported(path: path, reason: reason)
      }
    }
    guard section >= 0, section < image.facts.sections else {
      throw .corrupt(
        path: path, reason: "it holds \(image.facts.sections) sections now, section \(section + 1) is gone")
    }
    var read = try IntensityMapping.image(
      image.facts, inverted: image.inverted, range: options.intensityRange, path: path
    ) { buffer throws(VolumeError) in try decode(path, image, section, into: buffer) }
    read.pixelSize = image.facts.pixelSize
    return read
  }

  private static func decode(
    _ path: String, _ image: InspectedImage, _ section: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(VolumeError) {
    switch image.kind {
    case .png:
      let message = CMessage()
      guard cimages_png_read(path, 0, buffer.baseAddress, buffer.count, message.pointer) == 0 else {
        throw .corrupt(path: path, reason: message.text)
      }
    case .tiff(let directories):
      let limit = Int64(64 << 20) + Int64(image.fileSize) + 2 * Int64(image.decodedSize)
      let tiff = try TIFFHandle(path, memoryLimit: limit)
      try tiff.select(directories[section])
      // The file is looked at again by libtiff: it may have been replaced since.
      let found = try tiff.info()
      guard Int(found.width) == image.facts.width, Int(found.height) == image.facts.height,
        Int(found.bits) == 8 * image.facts.pixels.bytes
      else { throw .corrupt(path: path, reason: "it changed while it was read") }
      try tiff.read(into: buffer)
    case .raw(let offset, let bigEndian):
      try readRaw(path, at: offset + section * image.decodedSize, into: buffer)
      if bigEndian { swapBytes(buffer, of: image.facts.pixels.bytes) }
    case .hdf5(let picture): try HDF5Helper.read(path, picture, plane: section, into: buffer)
    }
  }

  private static func readRaw(
    _ path: String, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(VolumeError) {
    let isRead: Bool
    do throws(SystemFailure) { isRead = try FileBytes(path: path).read(at: offset, into: buffer) } catch {
      throw .unreadable(path: path, reason: Files.message(error.number))
    }
    guard isRead else { throw .corrupt(path: path, reason: "it changed while it was read") }
  }

  private static func swapBytes(_ buffer: UnsafeMutableRawBufferPointer, of width: Int) {
    switch width {
    case 2: swapWords(buffer.bindMemory(to: UInt16.self))
    case 4: swapWords(buffer.bindMemory(to: UInt32.self))
    case 8: swapWords(buffer.bindMemory(to: UInt64.self))
    default: break
    }
  }

  private static func swapWords(_ words: UnsafeMutableBufferPointer<some FixedWidthInteger>) {
    for i in words.indices { words[i] = words[i].byteSwapped }
  }
}
