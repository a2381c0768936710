import Synchronization
import Testing
import Web

@testable import Daemon

@Suite struct StageTimingsTests {
  /// Seconds that only pass when told to.
  final class Clock: Sendable {
    private let time = Mutex(1000.0)
    var now: Double { time.withLock { $0 } }
    func pass(_ seconds: Double) { time.withLock { $0 += seconds } }
  }

  func share(_ activity: DaemonStatus.Activity, _ name: String) -> Double? {
    activity.stages.first { $0.name == name }?.share
  }

  @Test func sharesAreOfTheRecentPast() {
    let clock = Clock()
    let timings = StageTimings { clock.now }
    timings.measure(.affinity) { clock.pass(30) }
    timings.measure(.watershed) { clock.pass(10) }
    var activity = timings.activity
    #expect(activity.windowSeconds == 40)
    #expect(share(activity, "affinity") == 0.75 && share(activity, "watershed") == 0.25)
    #expect(activity.bottleneck == "affinity")
    #expect(timings.seconds == ["affinity": 30, "watershed": 10])
    clock.pass(585)
    activity = timings.activity
    #expect(activity.windowSeconds == 600)
    #expect(share(activity, "affinity") == 5.0 / 600)
    #expect(share(activity, "watershed") == 10.0 / 600)
    #expect(activity.bottleneck == nil)
    #expect(activity.stages.first?.seconds == 30)
  }

  @Test func workThatHasNotEndedCounts() {
    let clock = Clock()
    let timings = StageTimings { clock.now }
    timings.measure(.affinity) {
      clock.pass(900)
      #expect(share(timings.activity, "affinity") == 1)
      #expect(timings.activity.stages.first?.seconds == 900)
    }
  }

  /// Stages of one thread add up; the stage to look at is the largest of the busiest thread.
  @Test func theBottleneckIsAThreads() {
    let clock = Clock()
    let timings = StageTimings { clock.now }
    timings.measure(.affinity) {
      clock.pass(10)
      for _ in 0..<3 {
        timings.measure(.watershed) { clock.pass(10) }
        timings.measure(.store) { clock.pass(15) }
      }
    }
    clock.pass(20)
    #expect(timings.activity.bottleneck == "affinity")
    for _ in 0..<2 { timings.measure(.store) { clock.pass(15) } }
    #expect(timings.activity.bottleneck == "store")
  }

  @Test func whetherTheDaemonKeepsUp() {
    let clock = Clock()
    let timings = StageTimings { clock.now }
    for count in [3, 4, 2, 3] {
      timings.noteWaiting(count)
      clock.pass(60)
    }
    for _ in 0..<4 { timings.noteFinal() }
    #expect(timings.activity.keepsUp && timings.activity.sectionsPerHour == 60)
    timings.noteWaiting(9)
    #expect(!timings.activity.keepsUp && timings.activity.waitingBefore == 3 && timings.activity.waiting == 9)
    clock.pass(700)
    timings.noteWaiting(9)
    #expect(timings.activity.keepsUp && timings.activity.sectionsPerHour == 0)
  }
}
