import Foundation

/// SIGINT and SIGTERM as a call on a thread of its own. A second one ends the program at once.
enum StopSignals {
  static func onStop(_ body: @escaping @Sendable () -> Void) {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let thread = Thread {
      var signals = sigset_t()
      sigemptyset(&signals)
      sigaddset(&signals, SIGINT)
      sigaddset(&signals, SIGTERM)
      var received: Int32 = 0
      sigwait(&signals, &received)
      body()
      sigwait(&signals, &received)
      _exit(128 + received)
    }
    thread.name = "signals"
    thread.start()
  }
}
