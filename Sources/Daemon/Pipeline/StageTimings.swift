import Foundation
import Synchronization
import Web

/// What time is measured of, in the order a section goes through. The names are those of `status` and of reports.
enum TimedStage: String, CaseIterable, Sendable {
  /// Hashing and decoding a file, and keeping its pixels.
  case takeIn = "take in"
  case read, denoise, affinity, watershed
  case regionGraph = "region graph"
  case store, agglomerate, database

  /// Stages of one thread follow each other; threads work beside each other.
  var thread: String {
    switch self {
    case .takeIn, .read, .denoise: WorkKind.intake.rawValue
    case .affinity: WorkKind.network.rawValue
    case .watershed, .regionGraph, .store: WorkKind.fragments.rawValue
    case .agglomerate, .database: "commit"
    }
  }
}

/// How long each stage of a volume has been at work, since the start and lately. Safe from any thread; a stage is at work on
/// one thread at a time.
final class StageTimings: Sendable {
  /// Seconds of the past that "lately" means.
  static let window = 600.0

  private struct State {
    var seconds: [TimedStage: Double] = [:]
    /// When each stage that is at work now began.
    var begun: [TimedStage: Double] = [:]
    /// Work that has ended lately.
    var spans: [(stage: TimedStage, begin: Double, end: Double)] = []
    /// When sections became final lately.
    var finals: [Double] = []
    /// How many sections waited, when that was looked at lately.
    var waiting: [(time: Double, count: Int)] = []
    var operations = 0

    mutating func forget(before time: Double) {
      if let first = spans.first, first.end < time - StageTimings.window { spans.removeAll { $0.end < time } }
      if let first = finals.first, first < time - StageTimings.window { finals.removeAll { $0 < time } }
      if let first = waiting.first, first.time < time { waiting.removeAll { $0.time < time } }
    }
  }

  private let state = Mutex(State())
  private let clock: @Sendable () -> Double
  private let start: Double

  /// - Parameter clock: monotonic seconds.
  init(clock: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }) {
    self.clock = clock
    start = clock()
  }

  func measure<T>(_ stage: TimedStage, _ work: () throws -> T) rethrows -> T {
    let begin = clock()
    state.withLock { $0.begun[stage] = begin }
    defer {
      let end = clock()
      state.withLock { state in
        state.begun[stage] = nil
        state.seconds[stage, default: 0] += end - begin
        state.spans.append((stage, begin, end))
        state.forget(before: end - Self.window)
      }
    }
    return try work()
  }

  func noteFinal() { state.withLock { $0.finals.append(clock()) } }

  /// Sections that are not yet what they will be, files included.
  func noteWaiting(_ count: Int) {
    let now = clock()
    state.withLock { state in
      // Once a second is often enough for a window of minutes.
      if let last = state.waiting.last, now - last.time < 1 { state.waiting.removeLast() }
      state.waiting.append((now, count))
      state.forget(before: now - Self.window)
    }
  }

  /// Multiply-adds of the network since the start.
  var operations: Int { state.withLock { $0.operations } }

  func add(operations: Int) { state.withLock { $0.operations += operations } }

  /// Seconds by stage since the start.
  var seconds: [String: Double] {
    state.withLock { state in
      Dictionary(uniqueKeysWithValues: state.seconds.map { ($0.key.rawValue, $0.value) })
    }
  }

  /// What went on lately.
  var activity: DaemonStatus.Activity {
    let now = clock()
    return state.withLock { state in
      let window = min(Self.window, max(now - start, 0.001))
      func overlap(_ begin: Double, _ end: Double) -> Double { max(0, min(end, now) - max(begin, now - window)) }
      var busy: [TimedStage: Double] = [:]
      for span in state.spans { busy[span.stage, default: 0] += overlap(span.begin, span.end) }
      for (stage, begin) in state.begun { busy[stage, default: 0] += overlap(begin, now) }
      let stages = TimedStage.allCases.compactMap { stage -> DaemonStatus.Activity.Stage? in
        let current = state.begun[stage].map { now - $0 } ?? 0
        guard let seconds = state.seconds[stage].map({ $0 + current }) ?? state.begun[stage].map({ _ in current })
        else { return nil }
        return .init(
          name: stage.rawValue, thread: stage.thread, seconds: seconds, share: (busy[stage] ?? 0) / window)
      }
      let finals = state.finals.count { $0 >= now - window }
      return DaemonStatus.Activity(
        windowSeconds: window, stages: stages, sectionsPerHour: Double(finals) * 3600 / window,
        waiting: state.waiting.last?.count ?? 0, waitingBefore: state.waiting.first?.count ?? 0)
    }
  }
}
