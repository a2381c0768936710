import CLinux
import Glibc

/// The watcher program as a child process. Not for use from several threads at once.
public final class WatcherProcess {
  /// To be polled for reading; then call `read`.
  public let descriptor: Int32
  /// Why the watcher ended, in one sentence; nil while it runs.
  public private(set) var ending: String?
  private let program: String
  private let child: pid_t
  private var input: Int32
  private let errors: Int32
  private var buffer: [UInt8] = []
  private var reaped = false

  /// Starts the program on folders that exist.
  /// - Throws: `IntakeError.watcher` when it cannot be started. A folder it does not like shows as its `ending`.
  public init(program: String, folders: [String]) throws(IntakeError) {
    let toChild = try Self.pipe(program)
    let fromChild = try Self.pipe(program)
    let complaints = try Self.pipe(program)
    defer { for end in [toChild.read, fromChild.write, complaints.write] { close(end) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, toChild.read, 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild.write, 1)
    posix_spawn_file_actions_adddup2(&actions, complaints.write, 2)
    var attributes = posix_spawnattr_t()
    Self.prepare(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var arguments = ([program] + folders).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, program, &actions, &attributes, &arguments, environ)
    guard status == 0 else {
      for end in [toChild.write, fromChild.read, complaints.read] { close(end) }
      throw .watcher(program: program, reason: "it cannot be started: \(String(cString: strerror(status)))")
    }
    self.program = program
    self.child = child
    input = toChild.write
    descriptor = fromChild.read
    errors = complaints.read
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    _ = fcntl(errors, F_SETFL, O_NONBLOCK)
  }

  deinit {
    stop()
    close(descriptor)
    close(errors)
  }

  /// Process id of the watcher.
  public var processID: Int32 { child }

  /// The events that are there now, without waiting; at most about a megabyte of lines. After the end of the watcher
  /// `ending` is set and nothing more comes.
  public func read() -> [WatchEvent] {
    var events: [WatchEvent] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    for _ in 0..<16 where ending == nil {
      let got = Glibc.read(descriptor, &piece, piece.count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 && errno == EAGAIN { break }
      guard got > 0 else {
        finish()
        break
      }
      take(piece[..<got], &events)
    }
    return events
  }

  /// Ends the watcher and waits for it. Events not read yet are lost.
  public func stop() {
    if input >= 0 {
      close(input)
      input = -1
    }
    guard !reaped else { return }
    kill(child, SIGTERM)
    reap()
    if ending == nil { ending = "it was stopped" }
  }

  private func take(_ bytes: ArraySlice<UInt8>, _ events: inout [WatchEvent]) {
    var rest = bytes
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      if buffer.isEmpty {
        events.append(WatchEvent(line: rest[..<end]))
      } else {
        events.append(WatchEvent(line: buffer + rest[..<end]))
        buffer.removeAll(keepingCapacity: true)
      }
      rest = rest[(end + 1)...]
    }
    buffer.append(contentsOf: rest)
    // No path is that long: whatever this is, it must not fill the memory.
    if buffer.count > 1 << 20 {
      buffer.removeAll()
      events.append(.fault("the watcher sent a line without an end"))
    }
  }

  private func finish() {
    // Its output is closed; if it hangs nevertheless, it is no use.
    kill(child, SIGTERM)
    let status = reap()
    var text = [UInt8](repeating: 0, count: 4096)
    let got = Glibc.read(errors, &text, text.count)
    let lines = String(decoding: text.prefix(max(0, got)), as: UTF8.self).split(separator: "\n")
    let signal = status & 0x7F
    let how = signal == 0 ? "it ended with status \((status >> 8) & 0xFF)" : "it was ended by signal \(signal)"
    ending = lines.last.map { "\(how): \($0)" } ?? how
  }

  @discardableResult
  private func reap() -> Int32 {
    guard !reaped else { return 0 }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    reaped = true
    return status
  }

  /// Default signals, none blocked: the daemon's own choices must not be inherited.
  private static func prepare(_ attributes: inout posix_spawnattr_t) {
    posix_spawnattr_init(&attributes)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var normal = sigset_t()
    sigemptyset(&normal)
    for signal in [SIGTERM, SIGPIPE, SIGINT, SIGHUP] { sigaddset(&normal, signal) }
    posix_spawnattr_setsigdefault(&attributes, &normal)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
  }

  private static func pipe(_ program: String) throws(IntakeError) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else {
      throw .watcher(program: program, reason: "no pipe to it: \(String(cString: strerror(errno)))")
    }
    return (ends[0], ends[1])
  }
}
