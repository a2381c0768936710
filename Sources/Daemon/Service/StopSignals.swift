import CLinux
import Foundation
import Synchronization

/// SIGINT and SIGTERM as a call on a thread of its own. A second one ends the program at once.
///
/// By a handler and a pipe, not by blocking and `sigwait`: OpenBLAS's threads exist before `main` and would take the signal.
enum StopSignals {
  /// The pipe's end to write to; -1 before there is one.
  private static let pipeEnd = Atomic<Int32>(-1)

  static func onStop(_ body: @escaping @Sendable () -> Void) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { return }
    let (reading, writing) = (ends[0], ends[1])
    pipeEnd.store(writing, ordering: .sequentiallyConsistent)
    for number in [SIGINT, SIGTERM] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        var byte = UInt8(truncatingIfNeeded: number)
        let kept = errno
        _ = write(StopSignals.pipeEnd.load(ordering: .sequentiallyConsistent), &byte, 1)
        errno = kept
      }
      action.sa_flags = SA_RESTART
      sigaction(number, &action, nil)
    }
    // Whoever started the program may have had them blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    let thread = Thread {
      if next(reading) != nil { body() }
      if let number = next(reading) { _exit(128 + Int32(number)) }
    }
    thread.name = "signals"
    thread.start()
  }

  /// Waits for a signal's number.
  private static func next(_ descriptor: Int32) -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = read(descriptor, &byte, 1)
      if count == 1 { return byte }
      if count == 0 || errno != EINTR { return nil }
    }
  }
}
