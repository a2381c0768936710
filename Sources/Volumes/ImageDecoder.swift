import CVolumes
import Glibc

/// The numbers of one section as its file has them, in the machine's byte order.
struct ImageDecoder {
  let path: String
  let image: InspectedImage
  let section: Int
  /// Of a band, about.
  let bandBytes: Int

  /// Decodes the section into a buffer of just its size.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(VolumeError) {
    switch image.kind {
    case .png:
      let message = CMessage()
      guard cimages_png_read(path, 0, buffer.baseAddress, buffer.count, message.pointer) == 0 else {
        throw .corrupt(path: path, reason: message.text)
      }
    case .tiff(let directories): try tiff(directories).read(into: buffer)
    case .raw(let offset, let bigEndian):
      try readRaw(at: offset + section * image.decodedSize, bigEndian, into: buffer)
    case .hdf5(let picture): try HDF5Helper.read(path, picture, plane: section, into: buffer)
    }
  }

  /// Decodes the section band by band, from the first row to the last.
  /// - Parameter take: is given whole rows; their memory is used again after the call.
  func readBands(_ take: (UnsafeRawBufferPointer) -> Void) throws(VolumeError) {
    let rowBytes = image.facts.width * image.facts.pixels.bytes
    let rows = max(1, bandBytes / rowBytes)
    switch image.kind {
    case .png:
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: image.decodedSize, alignment: 64)
      defer { buffer.deallocate() }
      try read(into: buffer)
      take(UnsafeRawBufferPointer(buffer))
    case .tiff(let directories):
      try tiff(directories).readBands(height: image.facts.height, rowBytes: rowBytes, bandBytes: bandBytes, take)
    case .raw(let offset, let bigEndian):
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: rows * rowBytes, alignment: 64)
      defer { buffer.deallocate() }
      for first in stride(from: 0, to: image.facts.height, by: rows) {
        let band = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<(min(rows, image.facts.height - first) * rowBytes)])
        try readRaw(at: offset + section * image.decodedSize + first * rowBytes, bigEndian, into: band)
        take(UnsafeRawBufferPointer(band))
      }
    case .hdf5(let picture):
      try HDF5Helper.read(
        path, picture, plane: section, bytes: image.decodedSize, bandBytes: rows * rowBytes, take)
    }
  }

  private func tiff(_ directories: [Int]) throws(VolumeError) -> TIFFHandle {
    let limit = Int64(64 << 20) + Int64(image.fileSize) + 2 * Int64(image.decodedSize)
    let tiff = try TIFFHandle(path, memoryLimit: limit)
    try tiff.select(at: directories[section])
    // The file is looked at again by libtiff: it may have been replaced since.
    let found = try tiff.info()
    guard Int(found.width) == image.facts.width, Int(found.height) == image.facts.height,
      Int(found.bits) == 8 * image.facts.pixels.bytes
    else { throw .changed(path: path) }
    return tiff
  }

  private func readRaw(
    at offset: Int, _ bigEndian: Bool, into buffer: UnsafeMutableRawBufferPointer
  ) throws(VolumeError) {
    let isRead: Bool
    let failure: Int32?
    do throws(SystemFailure) {
      let file = try FileBytes(path: path)
      isRead = file.read(at: offset, into: buffer)
      failure = file.failure
    } catch {
      throw .unreadable(path: path, reason: Files.message(error.number))
    }
    if let failure { throw .unreadable(path: path, reason: Files.message(failure)) }
    guard isRead else { throw .changed(path: path) }
    if bigEndian { swapBytes(buffer, of: image.facts.pixels.bytes) }
  }

  private func swapBytes(_ buffer: UnsafeMutableRawBufferPointer, of width: Int) {
    switch width {
    case 2: swapWords(buffer.bindMemory(to: UInt16.self))
    case 4: swapWords(buffer.bindMemory(to: UInt32.self))
    case 8: swapWords(buffer.bindMemory(to: UInt64.self))
    default: break
    }
  }

  private func swapWords(_ words: UnsafeMutableBufferPointer<some FixedWidthInteger>) {
    for i in words.indices { words[i] = words[i].byteSwapped }
  }
}
