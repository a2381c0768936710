import DB
import Domain
import Foundation
import Testing

/// What listeners are told, when, and that it always fits.
@Suite struct NoticeTests {
  private func listener(_ stack: TestVolume) throws -> Connection {
    let connection = try Connection(stack.database.conninfo)
    try connection.script("listen fgnet_section; listen fgnet_segment; listen fgnet_alarm")
    return connection
  }

  /// Everything sent before this call has come.
  private func told(_ connection: Connection) throws -> [(channel: String, fields: [String: Any])] {
    try connection.execute("select 1")
    return try connection.notifications().map { one in
      let fields = try JSONSerialization.jsonObject(with: Data(one.payload.utf8)) as? [String: Any]
      return (one.channel, fields ?? [:])
    }
  }

  @Test func sectionsAndOperationsAreTold() throws {
    let stack = try TestVolume()
    let world = World(revisions: [0: 0, 1: 0], looksAhead: false, seed: 6)
    let ear = try listener(stack)
    try stack.receive(0, bytes: 1)
    let first = try told(ear)
    #expect(first.map(\.channel) == ["fgnet_section"])
    #expect(first[0].fields["z"] as? Int == 0 && first[0].fields["state"] as? String == "received")
    #expect(first[0].fields["volume"] as? String == "cortex")

    let outcome = try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(0)])
    let second = try told(ear)
    #expect(second.map(\.channel).sorted() == ["fgnet_section", "fgnet_segment"], "one summary")
    let operation = try #require(second.first { $0.channel == "fgnet_segment" }).fields
    let events = outcome.events.reduce(into: [String: Int]()) { $0[$1.kind.rawValue, default: 0] += 1 }
    #expect(operation["events"] as? [String: Int] == events)
    #expect(operation["operation"] as? Int64 == outcome.operation && operation["kind"] as? String == "section_final")
    #expect(operation["last_z"] as? Int == 0 && operation["segments_in_all"] as? Int == events["born"])
  }

  @Test func whatIsUndoneIsNotTold() throws {
    let stack = try TestVolume()
    let world = World(revisions: [0: 0], looksAhead: false, seed: 6)
    try stack.receive(0, bytes: 1)
    let ear = try listener(stack)
    #expect(throws: DatabaseError.conflict("no")) {
      try stack.database.connection.transaction { () throws(DatabaseError) in
        try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(0)])
        throw .conflict("no")
      }
    }
    #expect(try told(ear).isEmpty)
  }

  @Test func thousandsOfSegmentsFit() throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    let ear = try listener(stack)
    let fragments = (1...3000 as ClosedRange<UInt32>).map { label in
      let summary = FragmentSummary(
        label: label, area: 1, minY: 0, minX: 0, maxY: 1, maxX: 1, centroidY: 0, centroidX: 0)
      return (summary: summary, id: FragmentID(z: 0, signature: 1, label: label))
    }
    try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [SectionCommit(z: 0, file: "f.h5", signature: "s", fragments: fragments, edges: [])])
    let operation = try #require(try told(ear).first { $0.channel == "fgnet_segment" }).fields
    #expect(operation["segments_in_all"] as? Int == 3000)
    #expect((operation["segments"] as? [Int64])?.count == 100)
  }

  @Test func alarmsAreTold() throws {
    let stack = try TestVolume()
    let ear = try listener(stack)
    try stack.record.note(AlarmNote(kind: "disk", text: "no room", raisedAt: 1_000_000), source: "scope:/state")
    try stack.record.note(AlarmNote(kind: "disk", text: "still no room", raisedAt: 1_000_000), source: "scope:/state")
    try stack.record.note(
      AlarmNote(kind: "disk", text: "still no room", raisedAt: 1_000_000, endedAt: 1_000_060), source: "scope:/state")
    // A path and a reason of the worst characters still fit into a payload.
    let worst = String(repeating: "\u{1}", count: 3000)
    try stack.record.quarantine(path: worst, size: 1, mtimeNs: 1, reason: worst)
    let alarms = try told(ear)
    #expect(alarms.allSatisfy { $0.channel == "fgnet_alarm" })
    #expect(
      alarms.map { $0.fields["kind"] as? String ?? "" } == ["disk", "disk", "disk", "disk", "quarantine"])
    let rows = try stack.database.connection.execute(
      "select kind, text, ended_at - raised_at from alarm")
    #expect(try rows.table(columns: 3) == [["disk", "still no room", "00:01:00"]], "one row for one alarm")
    try stack.record.note(AlarmNote(kind: "stage", text: "left behind", raisedAt: 1_000_000), source: "scope:/state")
    try stack.record.note(AlarmNote(kind: "stage", text: "another's", raisedAt: 1_000_000), source: "scope:/other")
    try stack.record.endAlarms(source: "scope:/state")
    let open = try stack.database.connection.execute("select text from alarm where ended_at is null")
    #expect(try open.table(columns: 1) == [["another's"]])
  }
}
