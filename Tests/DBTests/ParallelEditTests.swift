import DB
import Dispatch
import Domain
import Foundation
import Synchronization
import Testing

@Suite struct ParallelEditTests {
  /// Five people edit one volume while a daemon adds and replaces sections. Whoever is refused is told why; nothing else
  /// goes wrong, and the tables are as if it had been done one after the other.
  @Test func editorsAndTheDaemonDoNotDisturbEachOther() throws {
    let stack = try TestVolume()
    let (conninfo, volume, run) = (stack.database.conninfo, stack.volume, stack.run)
    var world = World(looksAhead: true, seed: 11)
    for z in 0..<3 as Range<SectionNumber> { try Self.change(z, to: 0, &world, stack.record, volume, run) }
    let start = world
    let done = Tally()
    let people = 5
    inThreads(people + 1) { index in
      do {
        let connection = try Connection(conninfo)
        if index == people {
          var world = start
          for z in 3..<12 as Range<SectionNumber> {
            try Self.change(z, to: 0, &world, Record(connection), volume, run)
            if z % 3 == 0 { try Self.change(z - 1, to: 1, &world, Record(connection), volume, run) }
          }
          let fragments = world.membership().count
          done.withLock { $0.fragments = fragments }
        } else {
          let edits = try Self.edit(Proofreader(connection), seed: UInt64(index), steps: 30)
          done.withLock { $0.edits += edits }
        }
      } catch {
        done.withLock { $0.failures.append("\(index): \(error)") }
      }
    }
    #expect(done.withLock { $0.failures } == [])
    let edits = try stack.database.connection.execute("select count(*) from operation where reason is not null")
    #expect(try edits.int(0, 0) == Int64(done.withLock { $0.edits }), "every edit that returned is there, once")
    #expect(try edits.int(0, 0) > 30)
    let report = try stack.record.checkLineage(volume: volume)
    #expect(report.faults == [])
    #expect(report.fragments == done.withLock { $0.fragments })
  }

  /// An edit waits for one that is not committed yet, and sees what it did.
  @Test func anEditWaitsForTheOneBefore() throws {
    let world = try Columns()
    let conninfo = world.stack.database.conninfo
    let (a, b, c) = (world.id(0, 1), world.id(0, 2), world.id(0, 3))
    let done = Tally()
    inThreads(2) { index in
      do throws(DatabaseError) {
        let person = Proofreader(try Connection(conninfo))
        if index == 0 {
          try person.connection.script("begin")
          try person.merge(a, b)
          try Self.wait(conninfo, until: "not granted")
          try person.connection.script("commit")
        } else {
          try Self.wait(conninfo, until: "granted")
          try person.merge(b, c)
        }
      } catch {
        done.withLock { $0.answers[index] = error }
      }
    }
    let expected = DatabaseError.server(
      sqlstate: "55000", message: "a: segment \(b) is retired, it is part of segment \(a) now")
    #expect(done.withLock { $0.answers } == [1: expected])
    try world.checkLineage()
  }

  /// Waits until a session has, or waits for, the lock of a volume in this database.
  private static func wait(_ conninfo: String, until state: String) throws(DatabaseError) {
    let watcher = try Connection(conninfo)
    let query = """
      select from pg_locks l join pg_database d on d.oid = l.database
      where l.locktype = 'advisory' and l.classid = 1718513781 and d.datname = current_database()
        and case $1 when 'granted' then l.granted else not l.granted end
      """
    while try watcher.execute(query, [.text(state)]).count == 0 {}
  }

  private static func change(
    _ z: SectionNumber, to revision: Int, _ world: inout World, _ record: Record, _ volume: Int64, _ run: Int64
  ) throws(DatabaseError) {
    let before = world
    world.revisions[z] = revision
    let digits = String(1000 + 10 * Int(z) + revision)
    _ = try record.receive(
      volume: volume, z: z, sha256: String(repeating: "0", count: 64 - digits.count) + digits,
      path: "/scope/\(z)-\(revision).tif", size: 100, mtimeNs: 7, height: 128, width: 128, bitDepth: 8,
      meanIntensity: 0.5, run: run)
    var commits = world.differences(from: before).map { world.commit($0) }
    if before.revisions[z] != nil {
      let pairs = zip(before.fragments(z), world.fragments(z)).map {
        ReplacedOverlap(old: $0.id, new: $1.id, pixels: 9)
      }
      for place in commits.indices where commits[place].z == z { commits[place].replaced = pairs }
    }
    try record.commitFinal(volume: volume, run: run, commits)
  }

  /// - Returns: how many edits were made.
  private static func edit(_ person: Proofreader, seed: UInt64, steps: Int) throws(DatabaseError) -> Int {
    var generator = SeededGenerator(seed: seed)
    var mine: [Int64] = []
    var undone = 0
    for _ in 0..<steps {
      let rows = try person.connection.execute(
        """
        select f.fragment_id, s.live_id from fragment f
        join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id where f.state = 'final' order by 1
        """)
      var picked: [(fragment: FragmentID, segment: FragmentID)] = []
      for _ in 0..<2 {
        let row = Int.random(in: 0..<rows.count, using: &generator)
        picked.append(
          (FragmentID(rawValue: UInt64(try rows.int(row, 0))), FragmentID(rawValue: UInt64(try rows.int(row, 1)))))
      }
      let (one, other) = (picked[0], picked[1])
      do throws(DatabaseError) {
        if one.segment != other.segment {
          mine.append(try person.merge(one.segment, other.segment))
        } else if one.fragment != other.fragment, Int.random(in: 0..<2, using: &generator) == 0 {
          mine.append(try person.split(one.segment, between: one.fragment, other.fragment))
        } else if let last = mine.last {
          try person.undo(last)
          undone += 1
        }
      } catch {
        // What a person can run into; nothing else.
        guard ["55000", "22023"].contains(error.sqlstate ?? "") else { throw error }
      }
    }
    return mine.count + undone
  }
}

/// What the threads found.
private final class Tally: Sendable {
  struct Counts {
    var edits = 0
    var fragments = 0
    var failures: [String] = []
    var answers: [Int: DatabaseError] = [:]
  }
  private let counts = Mutex(Counts())
  func withLock<T>(_ body: (inout sending Counts) -> sending T) -> T { counts.withLock(body) }
}

/// Runs a body in as many threads at once, whatever the number of cores, and returns when all are done.
private func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let done = DispatchSemaphore(value: 0)
  for index in 0..<count {
    Thread {
      body(index)
      done.signal()
    }.start()
  }
  for _ in 0..<count { done.wait() }
}
