import Domain
import Foundation
import Synchronization
import Testing

@testable import Daemon

/// What the service manager is told: sd_notify(3).
@Suite(.serialized) struct ServiceTests {
  /// A service manager's end of the socket.
  final class Manager {
    let path: String
    private let descriptor: Int32
    private(set) var messages: [String] = []

    init(_ folder: String) throws {
      path = folder + "/notify"
      descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      try #require(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path))
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      try #require(bound == 0)
    }

    deinit { close(descriptor) }

    var notifier: ServiceManager { ServiceManager(environment: ["NOTIFY_SOCKET": path]) }

    /// Takes what has come. A sender waits while ten messages lie here.
    func receive() {
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { return }
        messages.append(String(decoding: buffer[..<count], as: UTF8.self))
      }
    }

    var feedings: Int { messages.count { $0 == "WATCHDOG=1" } }
  }

  @Test func itIsToldOfReadinessProgressLifeAndTheEnd() throws {
    let bench = try Bench(size: 96)
    let manager = try Manager(bench.folder)
    try bench.run([[try bench.write(0), try bench.write(1)]]) { core in
      core.manager = manager.notifier
      core.onProgress = { manager.receive() }
    }
    manager.receive()
    #expect(manager.messages.first == "READY=1")
    #expect(manager.messages.last == "STOPPING=1")
    #expect(manager.feedings > 0)
    let told = manager.messages.filter { $0.hasPrefix("STATUS=") }
    #expect(
      told.contains { $0.wholeMatch(of: /STATUS=\d sections final, \d on the way, \d files waiting/) != nil }, "\(told)"
    )
  }

  @Test func aSocketInTheAbstractNameSpaceOrNoneDoesNoHarm() {
    ServiceManager(environment: ["NOTIFY_SOCKET": "@fgnetd-test-nobody"]).notify("READY=1")
    ServiceManager(environment: ["NOTIFY_SOCKET": "/no/" + String(repeating: "x", count: 200)]).notify("READY=1")
    ServiceManager(environment: [:]).notify("READY=1")
  }

  /// However much is done beside it: sections go on coming in.
  @Test func aHungStageStopsTheFeeding() throws {
    let bench = try Bench(size: 96)
    let manager = try Manager(bench.folder)
    let (hangs, gate) = (Gate(), Gate())
    let files = try (0..<8).map { try bench.write($0) }
    var inbox: Inbox?
    var turns = 0
    var fedWhileHung: [Int] = []
    let isHung = Mutex(false)
    try bench.run([Array(files.prefix(2))]) { core in
      core.manager = manager.notifier
      core.adjust = { set in
        var set = set
        set.affinity = set.affinity.map { inner in
          OverlapTests.Watched(inner) { _ in
            isHung.withLock { $0 = true }
            hangs.open()
            gate.pass()
          }
        }
        return set
      }
      inbox = core.inbox
      core.onProgress = {
        manager.receive()
        guard isHung.withLock({ $0 }) else { return }
        turns += 1
        fedWhileHung.append(manager.feedings)
        // Others go on: a section comes in every third turn, as long as there are any.
        if turns % 3 == 0, turns / 3 + 1 < files.count { inbox?.offer([files[turns / 3 + 1]]) }
        if turns == 60 { gate.open() }
        inbox?.wake()
      }
    }
    manager.receive()
    try #require(fedWhileHung.count >= 60)
    // The first feeding after the stage began may be due still; then there is none.
    #expect(fedWhileHung[59] <= fedWhileHung[0] + 1, "\(fedWhileHung)")
    #expect(manager.feedings > fedWhileHung[59] + 1)
  }

  @Test func theWatchdogIsFedWhileAllWorkGoesOn() {
    var watchdog = Watchdog()
    func isFed(_ network: (Bool, Int), _ intake: (Bool, Int) = (false, 0), isWaiting: Bool) -> Bool {
      watchdog.isToBeFed(
        [
          .network: WorkSigns(isBusy: network.0, count: network.1),
          .intake: WorkSigns(isBusy: intake.0, count: intake.1),
        ], isWaiting: isWaiting)
    }
    // Nothing to do is no fault; waiting for work that is not there is one.
    #expect(isFed((false, 0), isWaiting: false))
    #expect(isFed((false, 0), isWaiting: false))
    #expect(!isFed((false, 0), isWaiting: true))
    // A piece begins, and is silent, while another kind goes on.
    #expect(isFed((true, 0), isWaiting: false))
    #expect(!isFed((true, 0), isWaiting: false))
    #expect(!isFed((true, 0), (true, 5), isWaiting: false))
    // It gives a sign; then the next one hangs.
    #expect(isFed((true, 1), (true, 5), isWaiting: true))
    #expect(!isFed((true, 1), (true, 6), isWaiting: true))
    // It ends.
    #expect(isFed((false, 2), (true, 6), isWaiting: false))
  }

  @Test func longWorkGivesSignsAndIsAbandonedWhenTheExecutorCloses() {
    let (begun, looked, closing) = (Gate(), Gate(), Gate())
    let outcome = Mutex<String>("")
    let executor = ThreadExecutor {}
    executor.submit(.network) {
      try? executor.checkIn(.network)
      begun.open()
      looked.pass()
      closing.open()
      // `close` sets the mark before it waits; until then the work goes on.
      while true {
        do { try executor.checkIn(.network) } catch {
          outcome.withLock { $0 = "\(type(of: error))" }
          return
        }
        sched_yield()
      }
    }
    begun.pass()
    #expect(executor.signs[.network] == WorkSigns(isBusy: true, count: 1))
    #expect(executor.signs[.fragments] == WorkSigns(isBusy: false, count: 0))
    looked.open()
    closing.pass()
    executor.close()
    #expect(outcome.withLock { $0 } == "WorkAbandoned")
  }
}
