import CDeflate

/// gzip, for answers.
enum Gzip {
  /// The bytes, compressed at a low level; nil where memory ran out.
  static func compressed(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let compressor = libdeflate_alloc_compressor(2) else { return nil }
    defer { libdeflate_free_compressor(compressor) }
    let bound = libdeflate_gzip_compress_bound(compressor, bytes.count)
    let packed = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
      count = libdeflate_gzip_compress(compressor, bytes.baseAddress, bytes.count, buffer.baseAddress, bound)
    }
    return packed.isEmpty ? nil : packed
  }
}
