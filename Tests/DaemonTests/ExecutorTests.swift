import Foundation
import Synchronization
import Testing

@testable import Daemon

/// Lets threads wait for each other: no test depends on time.
final class Gate: Sendable {
  private let opened = DispatchSemaphore(value: 0)
  func open() { opened.signal() }
  func pass() {
    opened.wait()
    opened.signal()
  }
}

/// What happened, in order, from any thread.
final class Journal: Sendable {
  private let entries = Mutex<[String]>([])
  func note(_ entry: String) { entries.withLock { $0.append(entry) } }
  var all: [String] { entries.withLock { $0 } }
}

@Suite struct ExecutorTests {
  @Test func kindsGoOnBesideEachOtherAndOneKindInOrder() {
    let journal = Journal()
    let (begun, end, last) = (Gate(), Gate(), Gate())
    let executor = ThreadExecutor(depth: 2) {}
    // Ends only if the other kind's work can go on meanwhile.
    executor.submit(.network) {
      begun.pass()
      journal.note("network")
      end.open()
    }
    for number in 0..<3 {
      executor.submit(.fragments) {
        journal.note("fragments \(number)")
        if number == 2 { last.open() }
      }
    }
    executor.submit(.intake) { begun.open() }
    end.pass()
    // What has not begun when it closes is forgotten.
    last.pass()
    executor.close()
    #expect(journal.all.filter { $0 != "network" } == ["fragments 0", "fragments 1", "fragments 2"])
  }

  @Test func queuesAreBounded() {
    let (begun, gate) = (Gate(), Gate())
    let executor = ThreadExecutor(depth: 1) {}
    executor.submit(.network) {
      begun.open()
      gate.pass()
    }
    begun.pass()
    #expect(executor.hasRoom(for: .network))
    executor.submit(.network) {}
    #expect(!executor.hasRoom(for: .network))
    #expect(executor.hasRoom(for: .fragments))
    gate.open()
    executor.close()
    #expect(!executor.hasRoom(for: .network) && !executor.hasRoom(for: .fragments))
  }

  @Test func closingEndsWhatHasBegunAndForgetsTheRest() {
    let journal = Journal()
    let (begun, gate) = (Gate(), Gate())
    let executor = ThreadExecutor(depth: 1) { journal.note("done") }
    executor.submit(.network) {
      begun.open()
      gate.pass()
      journal.note("first")
    }
    begun.pass()
    executor.submit(.network) { journal.note("second") }
    let closed = Gate()
    let thread = Thread {
      executor.close()
      closed.open()
    }
    thread.start()
    // Once nothing has room, the executor is closing; the first piece is still at work.
    while executor.hasRoom(for: .fragments) { sched_yield() }
    gate.open()
    closed.pass()
    #expect(journal.all == ["first", "done"])
  }

  @Test func resultsAndFailuresComeBack() throws {
    struct Broken: Error {}
    let done = Gate()
    let executor = ThreadExecutor(depth: 1) { done.open() }
    let good = executor.start(.network) { 7 }
    done.pass()
    #expect(try good.result?.get() == 7)
    executor.close()
    let bad = SerialExecutor().start(.intake) { () throws -> Int in throw Broken() }
    #expect(throws: Broken.self) { try bad.result?.get() }
  }
}
