import CLinux
import Domain
import Glibc

/// A program that runs: its pipes, and how one message goes to it and one comes back. From one thread at a time.
final class CommandProcess {
  /// What is done while a message is under way.
  struct Watch {
    /// Monotonic seconds by which the answer must be there.
    var deadline: Double
    /// Called several times a second; false: nobody wants the answer any more.
    var goesOn: () -> Bool
  }

  private let process: pid_t
  private var input: Int32
  private let output: Int32
  private let errors: Int32
  private var complaints: ComplaintLines
  private var ending: String?
  /// When it was last asked whether the call goes on.
  private var lookedAt = 0.0

  /// Starts the program.
  /// - Parameter log: given lines that the program writes to its standard error.
  /// - Throws: a sentence about what failed.
  init(_ command: ExternalSource.Command, log: @escaping @Sendable (String) -> Void) throws(CommandFault) {
    let toProgram = try Self.pipe()
    let fromProgram = try Self.pipe()
    let fromErrors = try Self.pipe()
    defer { for end in [toProgram.read, fromProgram.write, fromErrors.write] { close(end) } }
    let arguments = command.words.map { strdup($0) } + [nil]
    let environment = command.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + environment { free(text) } }
    let started = command.words[0].withCString { path in
      command.directory.withCString { directory in
        arguments.withUnsafeBufferPointer { arguments in
          environment.withUnsafeBufferPointer { environment in
            var program = clinux_launch(
              path: path, arguments: arguments.baseAddress, environment: environment.baseAddress, directory: directory,
              input: toProgram.read, output: fromProgram.write, errors: fromErrors.write,
              memory: UInt64(command.memoryLimit), changes_user: command.user == nil ? 0 : 1,
              user: command.user?.id ?? 0, group: command.user?.group ?? 0)
            return clinux_start(&program)
          }
        }
      }
    }
    process = started.process
    input = toProgram.write
    output = fromProgram.read
    errors = fromErrors.read
    complaints = ComplaintLines(log: log)
    guard started.error == 0 else {
      let step = started.step.map { String(cString: $0) } ?? ""
      let why = String(cString: strerror(started.error))
      reap()
      throw CommandFault(
        step == "program" ? "\(command.words[0]) cannot be run: \(why)" : "it cannot be started (\(step): \(why))")
    }
    for end in [input, output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    for end in [input, output] { clinux_widen_pipe(end) }
  }

  /// Ends the program and all of its process group: it is given two seconds to end by itself, as its input does.
  deinit {
    closeInput()
    for _ in 0..<400 where !hasEnded() {
      readErrors()
      usleep(5000)
    }
    kill()
    readErrors()
    close(output)
    close(errors)
  }

  /// Ends the program at once.
  func kill() {
    guard process > 0 else { return }
    // The group may outlive its first process.
    Glibc.kill(-process, SIGKILL)
    reap()
  }

  // MARK: One message each way

  /// Sends a request and takes the answer.
  /// - Parameter expected: the arrays of an answer that is no refusal.
  /// - Returns: the answer's header, and its arrays in the order expected.
  /// - Throws: a sentence on what went wrong; the process is then of no more use.
  func exchange(
    _ header: [UInt8], _ arrays: [StageArray] = [], expected: [ExpectedArray] = [], watch: Watch
  ) throws(CommandFault) -> (header: [String: Any], arrays: [ReceivedArray]) {
    try checkSilence()
    var outbox = Outbox([.uint8(header)] + arrays.flatMap(\.pieces))
    var line: [UInt8] = []
    var payload = Payload()
    var answer: [String: Any]?
    while true {
      if let answer, payload.isFull {
        guard outbox.isEmpty else { throw CommandFault("it answered before it had taken all of the request") }
        return (answer, payload.arrays)
      }
      try wait(wantsToWrite: !outbox.isEmpty, watch)
      readErrors()
      if !outbox.isEmpty { try send(&outbox) }
      if answer == nil {
        guard let end = try readLine(&line) else { continue }
        let object = try CommandHeaders.object(line[..<end])
        if CommandHeaders.refusal(object) == nil {
          payload = Payload(expected, try CommandHeaders.check(object, expected: expected))
        }
        guard payload.append(line[(end + 1)...]) else { throw CommandFault("it wrote more than its answer") }
        answer = object
      } else {
        try fill(&payload)
      }
    }
  }

  /// Nothing may have come that nobody asked for.
  private func checkSilence() throws(CommandFault) {
    readErrors()
    var bytes = [UInt8](repeating: 0, count: 256)
    let got = read(output, &bytes, bytes.count)
    if got > 0 {
      throw CommandFault(
        "it wrote \(CommandHeaders.shown(bytes.prefix(got))) without being asked; only answers may go to its output")
    }
    if got == 0 { throw ended() }
  }

  /// Waits until something can be read or written, or a moment has passed.
  private func wait(wantsToWrite: Bool, _ watch: Watch) throws(CommandFault) {
    while true {
      var polled = [
        pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wantsToWrite ? input : -1, events: Int16(POLLOUT), revents: 0),
      ]
      // Standard error that was closed is always ready.
      if complaints.areOver { polled[1].fd = -1 }
      let ready = poll(&polled, nfds_t(polled.count), 50)
      let now = monotonicSeconds()
      if now - lookedAt > 0.05 {
        lookedAt = now
        guard watch.goesOn() else { throw CommandFault("it was stopped") }
      }
      guard now <= watch.deadline else {
        throw CommandFault("it gave no answer within its time_limit and was ended")
      }
      if ready > 0 { return }
    }
  }

  private func send(_ outbox: inout Outbox) throws(CommandFault) {
    let written = outbox.write(to: input)
    guard written < 0, errno != EAGAIN, errno != EINTR else { return }
    throw ended()
  }

  /// Reads on until the line has an end. Returns where it is, nil while there is none.
  private func readLine(_ line: inout [UInt8]) throws(CommandFault) -> Int? {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    let got = read(output, &piece, piece.count)
    if got < 0 && (errno == EAGAIN || errno == EINTR) { return nil }
    guard got > 0 else { throw ended() }
    let known = line.count
    line += piece[..<got]
    if let end = line[known...].firstIndex(of: UInt8(ascii: "\n")) { return end }
    guard line.count < CommandHeaders.longest else {
      throw CommandFault(
        "it answered \(CommandHeaders.shown(line.prefix(80))) and so on, without an end, where a line of JSON belongs")
    }
    return nil
  }

  private func fill(_ payload: inout Payload) throws(CommandFault) {
    let got = payload.read(from: output)
    if got < 0 && (errno == EAGAIN || errno == EINTR) { return }
    guard got > 0 else { throw ended() }
  }

  // MARK: Its end

  private func readErrors() {
    if !complaints.areOver { complaints.read(from: errors) }
  }

  /// The program closed its output: how it ended, with its last words.
  private func ended() -> CommandFault {
    closeInput()
    for _ in 0..<200 where !hasEnded() { usleep(5000) }
    kill()
    readErrors()
    let last = complaints.last.map { "; its last words: \($0)" } ?? ""
    return CommandFault((ending ?? "it closed its output") + last)
  }

  private func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  private func hasEnded() -> Bool {
    guard ending == nil, process > 0 else { return true }
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return false }
    note(status)
    return true
  }

  private func reap() {
    guard ending == nil, process > 0 else { return }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    note(status)
  }

  private func note(_ status: Int32) {
    let signal = status & 0x7F
    ending = signal == 0 ? "it ended with status \((status >> 8) & 0xFF)" : "it was ended by signal \(signal)"
  }

  private static func pipe() throws(CommandFault) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { throw CommandFault("no pipe to it: \(String(cString: strerror(errno)))") }
    return (ends[0], ends[1])
  }
}
