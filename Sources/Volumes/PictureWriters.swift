import CVolumes
public import Domain
import Glibc

/// Writes PNG files. Equal pixels give equal bytes.
public enum PNGWriter {
  /// Writes an 8-bit grey picture.
  /// - Throws: `VolumeError.unwritable`, `.noSpace`; nothing is left at `path` that was not there before.
  public static func write(gray plane: Plane<UInt8>, to path: String) throws(VolumeError) {
    try write(plane.storage, plane.height, plane.width, samples: 1, bits: 8, to: path)
  }

  /// Writes a 16-bit grey picture.
  /// - Throws: As for 8 bits.
  public static func write(gray plane: Plane<UInt16>, to path: String) throws(VolumeError) {
    try write(plane.storage, plane.height, plane.width, samples: 1, bits: 16, to: path)
  }

  /// Writes an RGB picture of three 8-bit planes.
  /// - Precondition: The planes have one shape.
  /// - Throws: As for grey.
  public static func write(
    red: Plane<UInt8>, green: Plane<UInt8>, blue: Plane<UInt8>, to path: String
  ) throws(VolumeError) {
    precondition(red.height == green.height && green.height == blue.height)
    precondition(red.width == green.width && green.width == blue.width)
    let count = red.storage.count
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, filled in
      for i in 0..<count {
        buffer[3 * i] = red.storage[i]
        buffer[3 * i + 1] = green.storage[i]
        buffer[3 * i + 2] = blue.storage[i]
      }
      filled = 3 * count
    }
    try write(pixels, red.height, red.width, samples: 3, bits: 8, to: path)
  }

  /// Writes an RGB picture; each element is 0xRRGGBB.
  /// - Throws: As for grey.
  public static func write(rgb plane: Plane<UInt32>, to path: String) throws(VolumeError) {
    let count = plane.storage.count
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, filled in
      for i in 0..<count {
        let colour = plane.storage[i]
        buffer[3 * i] = UInt8(truncatingIfNeeded: colour >> 16)
        buffer[3 * i + 1] = UInt8(truncatingIfNeeded: colour >> 8)
        buffer[3 * i + 2] = UInt8(truncatingIfNeeded: colour)
      }
      filled = 3 * count
    }
    try write(pixels, plane.height, plane.width, samples: 3, bits: 8, to: path)
  }

  private static func write<T: BitwiseCopyable>(
    _ pixels: [T], _ height: Int, _ width: Int, samples: Int32, bits: Int32, to path: String
  ) throws(VolumeError) {
    try writePicture(pixels, height, width, to: path) { temporary, bytes, number, message in
      cimages_png_write(temporary, bytes, UInt32(height), UInt32(width), samples, bits, number, message)
    }
  }
}

/// Writes grey TIFF files of one page.
public enum TIFFWriter {
  /// How the pixels are stored.
  public enum Compression: Sendable {
    case none
    case deflate
  }

  /// Writes an 8-bit picture.
  /// - Throws: `VolumeError.unwritable`, `.noSpace`; nothing is left at `path` that was not there before.
  public static func write(
    _ plane: Plane<UInt8>, to path: String, compression: Compression = .none
  ) throws(VolumeError) {
    try write(plane.storage, plane.height, plane.width, bits: 8, compression, to: path)
  }

  /// Writes a 16-bit picture.
  /// - Throws: As for 8 bits.
  public static func write(
    _ plane: Plane<UInt16>, to path: String, compression: Compression = .none
  ) throws(VolumeError) {
    try write(plane.storage, plane.height, plane.width, bits: 16, compression, to: path)
  }

  private static func write<T: BitwiseCopyable>(
    _ pixels: [T], _ height: Int, _ width: Int, bits: Int32, _ compression: Compression, to path: String
  ) throws(VolumeError) {
    try writePicture(pixels, height, width, to: path) { temporary, bytes, number, message in
      cimages_tiff_write(
        temporary, bytes, UInt32(height), UInt32(width), bits, compression == .deflate ? 1 : 0, number, message)
    }
  }
}

private typealias CWriter = (
  String, UnsafeRawPointer?, UnsafeMutablePointer<Int32>, UnsafeMutablePointer<CChar>
) -> Int32

/// Writes to a hidden name beside `path`, then renames.
private func writePicture<T: BitwiseCopyable>(
  _ pixels: [T], _ height: Int, _ width: Int, to path: String, by write: CWriter
) throws(VolumeError) {
  if let refusal = ImageProbe.refusal(height: height, width: width) {
    throw .unwritable(path: path, reason: refusal)
  }
  let temporary = Files.temporary(for: path)
  let message = CMessage()
  var number: Int32 = 0
  let status = pixels.withUnsafeBytes { write(temporary, $0.baseAddress, &number, message.pointer) }
  guard status == 0 else {
    unlink(temporary)
    throw .writing(path, number: number, otherwise: message.text)
  }
  guard rename(temporary, path) == 0 else {
    let failed = errno
    unlink(temporary)
    throw .writing(path, number: failed)
  }
}
