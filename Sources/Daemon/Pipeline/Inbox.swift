import Foundation

/// A section in a complete file that the intake offers to the pipeline.
struct OfferedFile: Sendable, Equatable {
  var volume: String
  var z: Int32
  var path: String
  var size: Int64
  var mtimeNs: Int64
  /// Which of the file's sections, from 0, and how many there are.
  var plane = 0
  var planes = 1
}

/// A file that cannot be taken, and why.
struct RefusedFile: Sendable, Equatable {
  var path: String
  var size: Int64
  var mtimeNs: Int64
  var reason: String
}

/// What the intake thread hands to the pipeline thread. Bounded by what lies in the folder: it holds names, not images.
final class Inbox: @unchecked Sendable {  // every access is under `condition`
  private let condition = NSCondition()
  private var offered: [OfferedFile] = []
  private var refused: [RefusedFile] = []
  private var faults: [String] = []
  private var isStopped = false
  private var wantsReload = false
  private var pending = 0
  private var isWoken = false

  func offer(_ files: [OfferedFile]) {
    guard !files.isEmpty else { return }
    condition.withLock {
      offered += files
      condition.broadcast()
    }
  }

  func refuse(_ file: RefusedFile) {
    condition.withLock {
      refused.append(file)
      condition.broadcast()
    }
  }

  /// A fault of the intake itself; the pipeline shows it in the status.
  func report(_ faults: [String]) {
    condition.withLock { self.faults = faults }
  }

  /// Files the intake has seen and not yet offered (still being written, say).
  func setPending(_ count: Int) {
    condition.withLock { pending = count }
  }

  /// Ends the wait in `take`: work that was handed out has ended.
  func wake() {
    condition.withLock {
      isWoken = true
      condition.broadcast()
    }
  }

  func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
    }
  }

  /// The configuration is to be read anew.
  func askForReload() {
    condition.withLock {
      wantsReload = true
      condition.broadcast()
    }
  }

  struct Contents {
    var offered: [OfferedFile] = []
    var refused: [RefusedFile] = []
    var faults: [String] = []
    var pending = 0
    var isStopped = false
    var wantsReload = false
  }

  /// Takes what is there; waits up to `timeout` seconds for something if nothing is.
  /// - Parameter wakes: whether `wake` ends the wait too.
  func take(timeout: Double, wakes: Bool = true) -> Contents {
    condition.lock()
    defer { condition.unlock() }
    if timeout > 0 {
      let deadline = Date(timeIntervalSinceNow: timeout)
      while offered.isEmpty, refused.isEmpty, !isStopped, !wantsReload, !(wakes && isWoken),
        condition.wait(until: deadline)
      {}
    }
    isWoken = false
    defer {
      offered = []
      refused = []
      wantsReload = false
    }
    return Contents(
      offered: offered, refused: refused, faults: faults, pending: pending, isStopped: isStopped,
      wantsReload: wantsReload)
  }

  var stopped: Bool { condition.withLock { isStopped } }
}

extension NSCondition {
  func withLock<T>(_ body: () throws -> T) rethrows -> T {
    lock()
    defer { unlock() }
    return try body()
  }
}
