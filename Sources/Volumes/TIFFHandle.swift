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
}
