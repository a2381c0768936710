import Foundation
import Hummingbird

/// Files of a folder, such as a built Neuroglancer client. Nothing outside of it is given out, by links neither.
struct StaticFolder: Sendable {
  private let root: String

  /// Bytes of a file that are given out at most.
  private static let largest = 64 << 20

  /// - Parameter folder: its path.
  init(_ folder: String) { root = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path }

  private static let types = [
    "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
    "wasm": "application/wasm", "svg": "image/svg+xml", "png": "image/png", "ico": "image/x-icon",
    "json": "application/json", "map": "application/json", "txt": "text/plain; charset=utf-8", "woff2": "font/woff2",
  ]

  /// Answers with a file.
  /// - Parameter path: below the folder; empty for its `index.html`.
  /// - Throws: `WebError.notFound`.
  func response(_ path: String) throws -> Response {
    let name = path.isEmpty ? "index.html" : path
    let isSafe = name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && !$0.hasPrefix(".") && !$0.contains("\0")
    }
    let resolved = URL(fileURLWithPath: root + "/" + name).resolvingSymlinksInPath().path
    var facts = stat()
    guard isSafe, resolved.hasPrefix(root + "/"), stat(resolved, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG,
      facts.st_size <= Self.largest, let bytes = FileManager.default.contents(atPath: resolved)
    else { throw WebError.notFound("there is no file \(name)") }
    let type = Self.types[String(name.split(separator: ".").last ?? "")] ?? "application/octet-stream"
    return Response(
      status: .ok, headers: [.contentType: type, .cacheControl: "no-cache"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
