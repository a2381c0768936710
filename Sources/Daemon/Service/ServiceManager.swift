import Foundation

/// Speaks systemd's notification protocol (sd_notify(3)): one datagram per message to the socket that the manager names.
/// Does nothing when no manager listens.
struct ServiceManager: Sendable {
  private let address: String?

  /// What the manager wants to hear when the configuration is read anew; `READY=1` ends it.
  static var reloading: String {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return "RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)"
  }

  init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    address = environment["NOTIFY_SOCKET"]
  }

  /// For example `READY=1`, `STATUS=...`, `WATCHDOG=1`, `STOPPING=1`; several are parted by a new line.
  func notify(_ message: String) {
    guard let address, !address.isEmpty else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(address.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    guard bytes.count < MemoryLayout.size(ofValue: target.sun_path) else { return }
    withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let text = Array(message.utf8)
    _ = withUnsafePointer(to: &target) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0, length)
      }
    }
  }
}
