import CLinux
import Foundation
import Synchronization

/// Kinds of work that go on beside each other. Pieces of one kind are done one after the other, in the order given: the
/// network and the stages are not reentrant.
enum WorkKind: String, CaseIterable, Sendable {
  /// Files to the store; images of the store for the network.
  case intake
  /// Affinities. Spreads over all cores by itself.
  case network
  /// From affinities to a product in the store.
  case fragments
}

/// Where the pipeline's work is done. A piece of work is a closure over values and files that names its result by content, so
/// it may be done anywhere, again, or for nothing. What to do, and in which order results count, is decided elsewhere
/// (`VolumePipeline`), by one thread: the one that calls these.
protocol Executor: AnyObject, Sendable {
  /// Whether another piece of this kind would be accepted: the queues are bounded.
  func hasRoom(for kind: WorkKind) -> Bool
  /// - Precondition: there is room.
  func submit(_ kind: WorkKind, _ work: @escaping @Sendable () -> Void)
  /// Forgets what has not begun, waits for what has, and takes nothing more.
  func close()
  /// A sign of life of long work, between parts that take seconds.
  /// - Throws: `WorkAbandoned` once the executor closes: the work is to end, nobody wants its result.
  func checkIn(_ kind: WorkKind) throws
  /// What shows whether the work goes on; for the watchdog.
  var signs: [WorkKind: WorkSigns] { get }
}

/// Signs of life of one kind of work.
struct WorkSigns: Equatable, Sendable {
  var isBusy: Bool
  /// Pieces done and signs given on the way.
  var count: Int
}

/// The executor closes while a piece of work is at its middle.
struct WorkAbandoned: Error {}

/// Of an executor whose work is done when `submit` returns.
extension Executor {
  func checkIn(_ kind: WorkKind) throws {}
  var signs: [WorkKind: WorkSigns] { [:] }
}

/// A piece of work that was handed out, and what became of it.
final class Work<Value: Sendable>: Sendable {
  private let outcome = Mutex<Result<Value, any Error>?>(nil)

  /// Nil while it is not done.
  var result: Result<Value, any Error>? { outcome.withLock { $0 } }

  fileprivate func finish(_ result: Result<Value, any Error>) { outcome.withLock { $0 = result } }
}

extension Executor {
  /// A sign of life of the work on this thread; nothing on a thread that does no work.
  func signOfLife() {
    if let kind = Thread.current.name.flatMap(WorkKind.init) { try? checkIn(kind) }
  }

  func start<Value: Sendable>(
    _ kind: WorkKind, _ body: @escaping @Sendable () throws -> Value
  ) -> Work<Value> {
    let work = Work<Value>()
    submit(kind) { work.finish(Result(catching: body)) }
    return work
  }
}

/// Does everything at once, on the caller's thread.
final class SerialExecutor: Executor {
  func hasRoom(for kind: WorkKind) -> Bool { true }
  func submit(_ kind: WorkKind, _ work: @escaping @Sendable () -> Void) { work() }
  func close() {}
}

/// A thread for each kind of work, each with a short queue.
final class ThreadExecutor: Executor {
  private let lanes: [WorkKind: Lane]

  /// - Parameters:
  ///   - depth: pieces of a kind that may wait behind the one at work. With one, a thread that becomes free finds work even
  ///     if the thread that hands it out is busy; each more holds another section in memory.
  ///   - whenDone: called after each piece, on its thread.
  init(depth: Int = 1, whenDone: @escaping @Sendable () -> Void) {
    var lanes: [WorkKind: Lane] = [:]
    for kind in WorkKind.allCases { lanes[kind] = Lane(kind.rawValue, depth: depth, whenDone: whenDone) }
    self.lanes = lanes
  }

  func hasRoom(for kind: WorkKind) -> Bool { lanes[kind]?.hasRoom ?? false }
  func submit(_ kind: WorkKind, _ work: @escaping @Sendable () -> Void) { lanes[kind]?.submit(work) }
  func checkIn(_ kind: WorkKind) throws { try lanes[kind]?.checkIn() }
  var signs: [WorkKind: WorkSigns] { lanes.mapValues(\.signs) }

  func close() {
    for kind in WorkKind.allCases { lanes[kind]?.stop() }
    for kind in WorkKind.allCases { lanes[kind]?.waitForEnd() }
  }
}

/// One thread and the work that waits for it.
///
/// Unchecked: every access to the state is under `condition`.
private final class Lane: @unchecked Sendable {
  private let condition = NSCondition()
  private let depth: Int
  private let whenDone: @Sendable () -> Void
  private var waiting: [@Sendable () -> Void] = []
  private var isWorking = false
  private var isStopping = false
  private var hasEnded = false
  private var signCount = 0

  init(_ name: String, depth: Int, whenDone: @escaping @Sendable () -> Void) {
    self.depth = depth
    self.whenDone = whenDone
    let thread = Thread { [self] in
      clinux_name_thread(name)
      run()
    }
    // As the main thread's: some stages keep tables on the stack.
    thread.stackSize = 8 << 20
    thread.start()
  }

  var hasRoom: Bool { condition.withLock { !isStopping && waiting.count + (isWorking ? 1 : 0) <= depth } }

  func submit(_ work: @escaping @Sendable () -> Void) {
    condition.withLock {
      precondition(waiting.count <= depth, "more work than there is room for")
      waiting.append(work)
      condition.broadcast()
    }
  }

  private func run() {
    while let work = next() {
      work()
      condition.withLock {
        isWorking = false
        signCount += 1
      }
      whenDone()
    }
    condition.withLock {
      hasEnded = true
      condition.broadcast()
    }
  }

  private func next() -> (@Sendable () -> Void)? {
    condition.withLock {
      while waiting.isEmpty, !isStopping { condition.wait() }
      guard !isStopping else { return nil }
      isWorking = true
      return waiting.removeFirst()
    }
  }

  var signs: WorkSigns { condition.withLock { WorkSigns(isBusy: isWorking, count: signCount) } }

  func checkIn() throws {
    try condition.withLock {
      signCount += 1
      if isStopping { throw WorkAbandoned() }
    }
  }

  func stop() {
    condition.withLock {
      isStopping = true
      waiting = []
      condition.broadcast()
    }
  }

  func waitForEnd() {
    condition.withLock { while !hasEnded { condition.wait() } }
  }
}

extension NSCondition {
  fileprivate func withLock<T>(_ body: () throws -> T) rethrows -> T {
    lock()
    defer { unlock() }
    return try body()
  }
}
