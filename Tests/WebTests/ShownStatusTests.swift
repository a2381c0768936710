import Foundation
import Testing

@testable import Web

@Suite struct ShownStatusTests {
  private static func status(_ alarms: [String] = []) -> DaemonStatus {
    let activity = DaemonStatus.Activity(
      windowSeconds: 600, stages: [], sectionsPerHour: 0, waiting: 0, waitingBefore: 0)
    let volumes = ["data", "cortex", "cortex-2"].map {
      DaemonStatus.Volume(name: $0, folder: "/scope/in \($0)", activity: activity)
    }
    return DaemonStatus(
      startedAt: Date(), isIdle: true, waitingFiles: 0, setAside: 0,
      alarms: alarms.map { DaemonStatus.Alarm(kind: "stage", text: $0, since: Date()) }, volumes: volumes)
  }

  @Test func volumesThatMayNotBeReadAreLeftOut() throws {
    let shown = ShownStatus { Self.status() }
    #expect(shown.now?.volumes == [], "nothing is known yet")
    shown.show(["data", "cortex-2", "other"])
    let now = try #require(shown.now)
    #expect(now.volumes.map(\.name) == ["data", "cortex-2"])
    let text = String(decoding: try JSON.data(now), as: UTF8.self)
    #expect(text.contains("cortex-2") && !text.contains("\"cortex\""))
    let metrics = Metrics(now, requests: (0, 0, 0), cacheBytes: 0, stateDirectory: "/").text
    #expect(metrics.contains("volume=\"cortex-2\"") && !metrics.contains("volume=\"cortex\""))
    #expect(shown.hides("/scope/in cortex/s1.tif") && shown.hides("/scope/in cortex/day 1/s1.tif"))
    #expect(!shown.hides("/scope/in cortex-2/s1.tif") && !shown.hides("/scope/in data/s1.tif"))
    #expect(ShownStatus { nil }.now == nil)
  }

  /// An alarm must be seen by everybody, but says nothing of a closed volume.
  @Test(arguments: [
    ("stage mine: cortex z 4: no answer", true), ("/scope/in cortex: the folder is gone", true),
    ("/state/sections/cortex/z000001.h5 cannot be written", true),
    ("volume cortex-2: its mount does not answer", false),
    ("the database does not answer", false), ("neocortex", false),
  ])
  func alarmsOnThemDoNotSayMoreThanTheirKind(text: String, isHidden: Bool) {
    let shown = ShownStatus { Self.status([text]) }
    shown.show(["data", "cortex-2"])
    let alarm = shown.now?.alarms.first
    #expect(alarm?.kind == "stage" && shown.now?.state == "alarm")
    #expect((alarm?.text == text) == !isHidden)
    #expect(alarm?.text.contains("fgnetd status") == isHidden)
  }

  /// Before the database was ever asked, the alarm that says why is read.
  @Test func theDatabasesAlarmIsShownFromTheStart() {
    let text = "the database does not answer; trying again"
    #expect(ShownStatus { Self.status([text]) }.now?.alarms.map(\.text) == [text])
  }
}
