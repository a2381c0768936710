import CVolumes

/// Room for a message from the C helpers.
struct CMessage: ~Copyable {
  let pointer: UnsafeMutablePointer<CChar>

  init() {
    pointer = .allocate(capacity: Int(CIMAGES_MESSAGE))
    pointer.initialize(repeating: 0, count: Int(CIMAGES_MESSAGE))
  }

  deinit { pointer.deallocate() }

  var text: String { String(cString: pointer) }
}

/// An open TIFF file.
struct TIFFHandle: ~Copyable {
  private let path: String
  private let raw: OpaquePointer

  /// - Parameter memoryLimit: Bytes that one allocation of libtiff may have.
  init(_ path: String, memoryLimit: Int64) throws(VolumeError) {
    let message = CMessage()
    guard let opened = cimages_tiff_open(path, memoryLimit, message.pointer) else {
      throw .corrupt(path: path, reason: message.text)
    }
    self.path = path
    raw = opened
  }

  deinit { cimages_tiff_close(raw) }

  func pages() -> Int { Int(cimages_tiff_pages(raw)) }

  func select(_ page: Int) throws(VolumeError) {
    let message = CMessage()
    guard cimages_tiff_select(raw, UInt32(page), message.pointer) == 0 else {
      throw .corrupt(path: path, reason: "page \(page + 1): \(message.text)")
    }
  }

  /// Goes to the page whose directory is at a byte of the file.
  func select(at offset: Int) throws(VolumeError) {
    let message = CMessage()
    guard cimages_tiff_select_at(raw, UInt64(offset), message.pointer) == 0 else {
      throw .corrupt(path: path, reason: "the page at byte \(offset): \(message.text)")
    }
  }

  func info() throws(VolumeError) -> cimages_info {
    let message = CMessage()
    var info = cimages_info()
    guard cimages_tiff_info(raw, &info, message.pointer) == 0 else { throw .corrupt(path: path, reason: message.text) }
    return info
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(VolumeError) {
    let message = CMessage()
    guard cimages_tiff_read(raw, buffer.baseAddress, buffer.count, message.pointer) == 0 else {
      throw .corrupt(path: path, reason: message.text)
    }
  }

  /// Reads the page from the first row to the last, some rows at a time.
  func readBands(
    height: Int, rowBytes: Int, bandBytes: Int, _ take: (UnsafeRawBufferPointer) -> Void
  ) throws(VolumeError) {
    let message = CMessage()
    let rows = Int(cimages_tiff_band(raw, bandBytes, message.pointer))
    guard rows > 0 else { throw .corrupt(path: path, reason: message.text) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: rows * rowBytes, alignment: 64)
    defer { buffer.deallocate() }
    for first in stride(from: 0, to: height, by: rows) {
      let count = min(rows, height - first)
      guard
        cimages_tiff_read_rows(
          raw, UInt32(first), UInt32(count), buffer.baseAddress, count * rowBytes, message.pointer) == 0
      else { throw .corrupt(path: path, reason: message.text) }
      take(UnsafeRawBufferPointer(rebasing: buffer[..<(count * rowBytes)]))
    }
  }
}
