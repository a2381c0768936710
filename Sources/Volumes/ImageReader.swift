import CVolumes
import Domain

/// Reads the image of one section.
public enum ImageReader {
  /// Reads a greyscale TIFF (strips or tiles, 8 or 16 bit unsigned, any compression libtiff has, one page) or PNG
  /// (8 or 16 bit). White-is-zero pictures are turned round, so black is always 0.
  ///
  /// - Throws: `VolumeError.corrupt` for a file cut short or damaged, `.unsupported` for another kind of picture,
  ///   `.unreadable` when it cannot be opened. Memory stays within a few times the picture's own size.
  public static func read(_ path: String) throws(VolumeError) -> SectionImage {
    let image: InspectedImage
    switch ImageProbe.inspect(path) {
    case .whole(let found): image = found
    case .incomplete(let reason):
      guard Files.exists(path) else { throw .unreadable(path: path, reason: Files.message(ENOENT)) }
      throw .corrupt(path: path, reason: reason)
    case .unusable(let reason): throw .unsupported(path: path, reason: reason)
    }
    var pixels: [UInt16]
    if image.bitDepth == 8 {
      var bytes = [UInt8](repeating: 0, count: image.height * image.width)
      try bytes.fill { buffer throws(VolumeError) in try decode(path, image, into: buffer) }
      pixels = widened(bytes)
    } else {
      pixels = [UInt16](repeating: 0, count: image.height * image.width)
      try pixels.fill { buffer throws(VolumeError) in try decode(path, image, into: buffer) }
    }
    if image.inverted { invert(&pixels, largest: image.bitDepth == 8 ? 255 : 65535) }
    return SectionImage(
      bitDepth: image.bitDepth, pixels: Plane(height: image.height, width: image.width, storage: pixels))
  }

  private static func decode(
    _ path: String, _ image: InspectedImage, into buffer: UnsafeMutableRawBufferPointer
  ) throws(VolumeError) {
    switch image.kind {
    case .png:
      let message = CMessage()
      guard cimages_png_read(path, 0, buffer.baseAddress, buffer.count, message.pointer) == 0 else {
        throw .corrupt(path: path, reason: message.text)
      }
    case .tiff:
      let limit = Int64(64 << 20) + Int64(image.fileSize) + 2 * Int64(image.decodedSize)
      let tiff = try TIFFHandle(path, memoryLimit: limit)
      // The file is looked at again by libtiff: it may have been replaced since.
      let found = try tiff.info()
      guard Int(found.width) == image.width, Int(found.height) == image.height, Int(found.bits) == image.bitDepth else {
        throw .corrupt(path: path, reason: "it changed while it was read")
      }
      try tiff.read(into: buffer)
    }
  }

  private static func widened(_ bytes: [UInt8]) -> [UInt16] {
    bytes.withUnsafeBufferPointer { source in
      [UInt16](unsafeUninitializedCapacity: source.count) { target, count in
        for i in 0..<source.count { target[i] = UInt16(source[i]) }
        count = source.count
      }
    }
  }

  private static func invert(_ pixels: inout [UInt16], largest: UInt16) {
    pixels.withUnsafeMutableBufferPointer { buffer in
      for i in 0..<buffer.count { buffer[i] = largest - buffer[i] }
    }
  }
}

import Glibc
