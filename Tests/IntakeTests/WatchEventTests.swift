import Testing

@testable import Intake

@Suite struct WatchEventTests {
  @Test(arguments: [
    ("ready", WatchEvent.ready), ("overflow", .overflow), ("closed /a/b%20c%25.tif", .closed("/a/b c%.tif")),
    ("moved /%C3%A4%0A", .moved("/ä\n")), ("deleted x", .deleted("x")), ("folder /s", .folder("/s")),
    ("folder-gone /s", .folderGone("/s")), ("limit raise%20it", .limit("raise it")), ("fault no", .fault("no")),
    ("closed /%FF%20.tif", .unnameable("/%FF .tif")), ("deleted /%FF", .overflow),
  ])
  func linesAreRead(line: String, event: WatchEvent) { #expect(WatchEvent(line: Array(line.utf8)) == event) }

  @Test(arguments: ["", "closed", "closed ", "ready now", "closed a%2", "closed a%zz", "opened /a", "CLOSED /a"])
  func otherLinesAreFaults(line: String) {
    guard case .fault = WatchEvent(line: Array(line.utf8)) else {
      Issue.record("\(line) was read as \(WatchEvent(line: Array(line.utf8)))")
      return
    }
  }

  @Test func pausesGrowUntilARunWasHealthy() {
    var policy = RestartPolicy(firstPause: 1, longestPause: 5, healthyRun: 60)
    var pauses: [Double] = []
    var now = 100.0
    for _ in 0..<5 {
      policy.didStart(now: now)
      now += 0.1
      pauses.append(policy.didEnd(now: now) - now)
    }
    for (pause, expected) in zip(pauses, [1.0, 2, 4, 5, 5]) { #expect(abs(pause - expected) < 1e-9) }
    policy.didStart(now: now)
    #expect(abs(policy.didEnd(now: now + 61) - (now + 62)) < 1e-9)
    // One that could not even be started.
    #expect(abs(policy.didEnd(now: 1000) - 1002) < 1e-9)
  }
}
