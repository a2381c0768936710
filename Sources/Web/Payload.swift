import Hummingbird

/// Numbers, little-endian, as an answer; packed where the caller takes it and it is worth it.
struct Payload: Sendable {
  private var bytes: [UInt8]
  private var etag: String
  private var isPacked = false
  private var isUnchanged = false

  /// - Parameters:
  ///   - etag: differs where the bytes do.
  ///   - packs: whether the caller takes gzip.
  init(_ bytes: [UInt8], etag: String, packs: Bool) {
    self.bytes = bytes
    self.etag = etag
    if packs, bytes.count > 256, let packed = bytes.withUnsafeBytes({ Gzip.compressed($0) }), packed.count < bytes.count
    {
      self.bytes = packed
      isPacked = true
    }
  }

  /// The caller has it.
  static func unchanged(_ etag: String) -> Payload {
    var payload = Payload([], etag: etag, packs: false)
    payload.isUnchanged = true
    return payload
  }

  /// The etag that the caller has.
  static func known(_ request: Request) -> String? {
    guard let text = request.headers[.ifNoneMatch], text.count > 2, text.hasPrefix("\""), text.hasSuffix("\"") else {
      return nil
    }
    return String(text.dropFirst().dropLast())
  }

  /// Whether the caller takes gzip.
  static func packs(_ request: Request) -> Bool {
    request.headers[.acceptEncoding]?.split(separator: ",").contains {
      let parts = $0.split(separator: ";").map { $0.filter { $0 != " " }.lowercased() }
      return parts.first == "gzip" && !parts.contains { ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains($0) }
    } ?? false
  }

  var response: Response {
    var headers: HTTPFields = [.eTag: "\"\(etag)\"", .cacheControl: "no-cache", .vary: "Accept-Encoding"]
    if isUnchanged { return Response(status: .notModified, headers: headers) }
    headers[.contentType] = "application/octet-stream"
    if isPacked { headers[.contentEncoding] = "gzip" }
    return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
