import Foundation
import Web

extension DaemonConfiguration {
  /// The part `http`; nil where it is not enabled.
  static func web(_ mapping: ConfigMapping) -> WebConfiguration? {
    let isEnabled = mapping.bool("enabled", default: false)
    var web = WebConfiguration()
    web.host = mapping.string("host", default: web.host)
    web.port = mapping.int("port", default: web.port, in: 1...65535)
    web.isBehindProxy = mapping.bool("behind_proxy", default: false)
    (web.neuroglancer, web.neuroglancerFolder) = neuroglancer(mapping)
    web.allowedOrigin = origin(mapping)
    web.concurrency = mapping.int("concurrency", default: web.concurrency, in: 1...1024)
    web.rate = mapping.int("rate", default: web.rate, in: 1...1_000_000)
    web.cache = mapping.bytes("cache", default: web.cache, atLeast: 8 << 20)
    if let file = mapping.optionalString("token_file") {
      if isEnabled { web.token = token(absolute(file), mapping) }
    }
    mapping.finish()
    guard isEnabled else { return nil }
    for fault in web.faults { mapping.fault(fault) }
    return web
  }

  private static func isAddress(_ text: String) -> Bool {
    (text.hasPrefix("https://") || text.hasPrefix("http://")) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  /// An address, or a folder with a built client.
  private static func neuroglancer(_ mapping: ConfigMapping) -> (address: String?, folder: String?) {
    guard let text = mapping.optionalString("neuroglancer") else { return (nil, nil) }
    let label = mapping.label("neuroglancer")
    if isAddress(text) { return (text, nil) }
    guard text.hasPrefix("/") else {
      mapping.fault(
        "\(label) must be an address that begins with https:// or http://, or the path of a folder with a built client",
        mapping.value("neuroglancer"))
      return (nil, nil)
    }
    guard access(text + "/index.html", R_OK) == 0 else {
      mapping.fault("\(label): there is no \(text)/index.html that can be read", mapping.value("neuroglancer"))
      return (nil, nil)
    }
    return (nil, text)
  }

  private static func origin(_ mapping: ConfigMapping) -> String? {
    guard let text = mapping.optionalString("allowed_origin") else { return nil }
    if text == "*" || isAddress(text) && text.split(separator: "/").count == 2 && !text.hasSuffix("/") { return text }
    mapping.fault(
      "\(mapping.label("allowed_origin")) must be `*` or as https://host.example, without a path",
      mapping.value("allowed_origin"))
    return nil
  }

  /// The file's first line. Others than its owner and group must not be able to read it.
  private static func token(_ path: String, _ mapping: ConfigMapping) -> String? {
    let node = mapping.value("token_file")
    var facts = stat()
    guard stat(path, &facts) == 0, let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      mapping.fault("\(mapping.label("token_file")) \(path) cannot be read", node)
      return nil
    }
    guard facts.st_mode & 0o007 == 0 else {
      mapping.fault("\(mapping.label("token_file")) \(path) can be read by everybody: chmod 640 \(path)", node)
      return nil
    }
    let token = text.split(separator: "\n").first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
    if token.isEmpty || !token.allSatisfy({ $0.isASCII && $0 > " " && $0 != ";" && $0 != "," && $0 != "\"" }) {
      mapping.fault(
        "\(mapping.label("token_file")) \(path) must hold a token without spaces, such as from `openssl rand -hex 24`",
        node)
      return nil
    }
    return token
  }
}
