import CLinux
import Foundation
import Synchronization

/// Signals as calls on a thread of its own: SIGINT and SIGTERM to stop, of which a second one ends the program at once, and
/// SIGHUP to read the configuration anew.
///
/// By a handler and a pipe, not by blocking and `sigwait`: OpenBLAS's threads exist before `main` and would take the signal.
enum ProgramSignals {
  /// The pipe's end to write to; -1 before there is one.
  private static let pipeEnd = Atomic<Int32>(-1)

  /// - Parameter onReload: nil: SIGHUP ends the program, as it does where nobody handles it.
  static func handle(onStop: @escaping @Sendable () -> Void, onReload: (@Sendable () -> Void)? = nil) {
    let numbers = [SIGINT, SIGTERM] + (onReload == nil ? [] : [SIGHUP])
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { return }
    let (reading, writing) = (ends[0], ends[1])
    pipeEnd.store(writing, ordering: .sequentiallyConsistent)
    for number in numbers {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        var byte = UInt8(truncatingIfNeeded: number)
        let kept = errno
        _ = write(ProgramSignals.pipeEnd.load(ordering: .sequentiallyConsistent), &byte, 1)
        errno = kept
      }
      action.sa_flags = SA_RESTART
      sigaction(number, &action, nil)
    }
    // Whoever started the program may have had them blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in numbers { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    let thread = Thread {
      var isStopping = false
      while let number = next(reading) {
        if Int32(number) == SIGHUP {
          onReload?()
        } else if isStopping {
          _exit(128 + Int32(number))
        } else {
          isStopping = true
          onStop()
        }
      }
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
