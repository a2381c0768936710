import CCrypto
import Glibc

/// SHA-256, as 64 lower-case hexadecimal digits.
public enum ContentHash {
  /// Hash of a file's bytes, read in pieces.
  /// - Throws: `VolumeError.unreadable`.
  public static func sha256(ofFile path: String) throws(VolumeError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: Files.message(errno)) }
    defer { close(descriptor) }
    var digest = try Digest(for: path)
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let got = Glibc.read(descriptor, &buffer, buffer.count)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .unreadable(path: path, reason: Files.message(errno)) }
      if got == 0 { break }
      try buffer.withUnsafeBufferPointer { bytes throws(VolumeError) in
        try digest.update(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[..<got])), for: path)
      }
    }
    return try digest.finish(for: path)
  }

  /// Hash of a section's grey values: its shape and depth as text, then its pixels, least significant byte first.
  /// - Throws: As for bytes.
  public static func sha256(of image: SectionImage) throws(VolumeError) -> String {
    let pixels = image.pixels
    var digest = try Digest(for: "memory")
    let shape = Array("section \(pixels.height) \(pixels.width) \(image.bitDepth)\n".utf8)
    try shape.withUnsafeBufferPointer { buffer throws(VolumeError) in
      try digest.update(UnsafeRawBufferPointer(buffer), for: "memory")
    }
    try pixels.storage.withUnsafeBufferPointer { buffer throws(VolumeError) in
      try digest.update(UnsafeRawBufferPointer(buffer), for: "memory")
    }
    return try digest.finish(for: "memory")
  }

  /// Hash of bytes in memory.
  /// - Throws: `VolumeError.unreadable` when libcrypto refuses SHA-256.
  public static func sha256(of bytes: [UInt8]) throws(VolumeError) -> String {
    var digest = try Digest(for: "memory")
    try bytes.withUnsafeBufferPointer { buffer throws(VolumeError) in
      try digest.update(UnsafeRawBufferPointer(buffer), for: "memory")
    }
    return try digest.finish(for: "memory")
  }
}

/// One running SHA-256.
private struct Digest: ~Copyable {
  private let context: OpaquePointer

  init(for path: String) throws(VolumeError) {
    guard let made = EVP_MD_CTX_new() else { throw .unreadable(path: path, reason: "out of memory for its hash") }
    guard EVP_DigestInit_ex(made, EVP_sha256(), nil) == 1 else {
      EVP_MD_CTX_free(made)
      throw Self.failure(path)
    }
    context = made
  }

  deinit { EVP_MD_CTX_free(context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer, for path: String) throws(VolumeError) {
    guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else { throw Self.failure(path) }
  }

  mutating func finish(for path: String) throws(VolumeError) -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    guard EVP_DigestFinal_ex(context, &bytes, &count) == 1, count == 32 else { throw Self.failure(path) }
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func failure(_ path: String) -> VolumeError {
    .unreadable(path: path, reason: "libcrypto does not offer SHA-256")
  }
}
