import Foundation
import Synchronization

/// Stands between a program and a PostgreSQL server, and cuts connections in the middle of a COPY.
///
/// Unchecked: every access to the state is under `state`; the descriptors belong to the threads.
final class Relay: @unchecked Sendable {
  /// Where a connection is cut.
  struct Cut {
    /// Which COPY since the start, from 1.
    var copy: Int
    /// Bytes of it that still reach the server.
    var bytes: Int
    /// The server does not hear of the cut until `release`.
    var lingers = false
  }

  private struct State {
    var cuts: [Cut]
    var copies = 0
    var done = 0
    var lingering: [Int32] = []
  }

  /// What every COPY of binary rows begins with.
  private static let signature = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]

  /// Folder of the socket, for libpq's `host`.
  let folder: String
  private let target: String
  private let listener: Int32
  private let state: Mutex<State>

  /// - Parameter target: the folder of the server's socket.
  init(_ folder: String, to target: String, cuts: [Cut]) throws {
    self.folder = folder
    self.target = target + "/.s.PGSQL.5432"
    state = Mutex(State(cuts: cuts))
    mkdir(folder, 0o755)
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let path = folder + "/.s.PGSQL.5432"
    guard Self.withAddress(path, { bind(listener, $0, $1) }) == 0, listen(listener, 16) == 0 else {
      throw CocoaError(.fileWriteUnknown)
    }
    let thread = Thread { [self] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        let thread = Thread { [self] in serve(client) }
        thread.start()
      }
    }
    thread.start()
  }

  /// Takes no more connections.
  func close() {
    shutdown(listener, Int32(SHUT_RDWR))
    Glibc.close(listener)
  }

  /// Cuts so far.
  var cutCount: Int { state.withLock { $0.done } }

  /// Lets the server know of the cuts it has not heard of.
  func release() {
    state.withLock { state in
      for server in state.lingering { Glibc.close(server) }
      state.lingering = []
    }
  }

  private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return -1 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  private func serve(_ client: Int32) {
    let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard Self.withAddress(target, { connect(server, $0, $1) }) == 0 else {
      Glibc.close(client)
      Glibc.close(server)
      return
    }
    var ends = [
      pollfd(fd: client, events: Int16(POLLIN), revents: 0), pollfd(fd: server, events: Int16(POLLIN), revents: 0),
    ]
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    /// The last bytes of what the client sent, in which a signature may have begun.
    var tail: [UInt8] = []
    while poll(&ends, 2, -1) > 0 || errno == EINTR {
      if ends[1].revents != 0 {
        let count = read(server, &buffer, buffer.count)
        guard count > 0, send(buffer[..<count], to: client) else { break }
      }
      if ends[0].revents != 0 {
        let count = read(client, &buffer, buffer.count)
        guard count > 0 else { break }
        let cut = cut(in: tail + buffer[..<count])
        let passed = cut.map { min(count, max(0, $0.end - tail.count)) } ?? count
        guard send(buffer[..<passed], to: server) else { break }
        if let cut {
          Glibc.close(client)
          if cut.lingers { state.withLock { $0.lingering.append(server) } } else { Glibc.close(server) }
          return
        }
        tail = Array((tail + buffer[..<count]).suffix(Self.signature.count - 1))
      }
    }
    Glibc.close(client)
    Glibc.close(server)
  }

  /// Counts the copies that begin in the bytes; where one of them is to be cut, if so.
  private func cut(in bytes: [UInt8]) -> (end: Int, lingers: Bool)? {
    let length = Self.signature.count
    guard bytes.count >= length else { return nil }
    for start in 0...(bytes.count - length) where bytes[start] == Self.signature[0] {
      guard bytes[start..<start + length].elementsEqual(Self.signature) else { continue }
      let found = state.withLock { state -> Cut? in
        state.copies += 1
        guard let index = state.cuts.firstIndex(where: { $0.copy == state.copies }) else { return nil }
        state.done += 1
        return state.cuts.remove(at: index)
      }
      if let found { return (start + length + found.bytes, found.lingers) }
    }
    return nil
  }

  private func send(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    var done = bytes.startIndex
    while done < bytes.endIndex {
      let count = bytes[done...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}
