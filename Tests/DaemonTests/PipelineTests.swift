import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// Promises 1, 2 and 4 on simulated sections with the default model, database and files included.
@Suite(.serialized) struct PipelineTests {
  @Test func orderAndGroupingOfArrivalDoNotMatter() throws {
    let zs = Array(SectionNumber(0)..<12)
    let oneByOne = try Bench()
    try oneByOne.run(zs.map { [try oneByOne.write($0)] })
    let expected = try oneByOne.finalState()
    #expect(try oneByOne.query("select count(*)::text from fgnet.section where state = 'final'") == "12")
    #expect(try oneByOne.query("select count(*)::text from fgnet.lineage_event where event = 'grown'") != "0")
    // What is to be done when nothing else is.
    let summed = "select string_agg(block::text, ' ') from fgnet.contact_block where is_complete"
    #expect(try oneByOne.query(summed) == "0")

    let atOnce = try Bench()
    try atOnce.run([zs.map { try atOnce.write($0) }])
    #expect(try atOnce.finalState() == expected)

    var generator = SeededGenerator(seed: 5)
    let shuffled = try Bench()
    try shuffled.run(zs.shuffled(using: &generator).map { [try shuffled.write($0)] })
    #expect(try shuffled.finalState() == expected)
  }

  @Test func aSectionThatComesLateGivesWhatItWouldHaveGivenInTime() throws {
    let zs = Array(SectionNumber(0)..<14)
    let inTime = try Bench()
    try inTime.run([zs.map { try inTime.write($0) }])

    let late = try Bench()
    try late.run([zs.filter { $0 != 6 }.map { try late.write($0) }], missing: [6])
    #expect(try late.query("select state from fgnet.section where z = 6") == "missing")
    #expect(try late.query("select count(*)::text from fgnet.section where state = 'final'") == "13")
    #expect(try late.query("select count(*)::text from fgnet.region_edge where z = 7 and kind = 'between'") != "0")
    try late.run([[try late.write(6)]])
    #expect(try late.finalState() == inTime.finalState())
    let contacts = """
      select string_agg(q::text, ';') from (
        select s.segment_id, n.segment_id, n.contact_area_px, n.contacts, n.best_score from fgnet.segment s
        cross join lateral fgnet.neighbours('test', s.segment_id) n where s.state = 'live' order by 1, 2) q
      """
    let expected = try inTime.query(contacts)
    #expect(try expected != "" && late.query(contacts) == expected)
  }

  @Test func theSameBytesAgainAreNoWorkAndOtherBytesAreARevision() throws {
    let bench = try Bench()
    try bench.run([(0..<6).map { try bench.write($0) }])
    let before = try bench.finalState()
    try bench.run([[try bench.write(3, as: "again3.png")]])
    #expect(try bench.finalState() == before)
    #expect(try bench.query("select count(*)::text from fgnet.section_file") == "7")

    try bench.run([[try bench.write(3, like: 40)]])
    #expect(try bench.finalState() != before)
    #expect(try bench.query("select max(revision)::text from fgnet.section where z = 3") == "2")
    #expect(try bench.query("select state from fgnet.section where z = 3 and revision = 1") == "superseded")
    #expect(try bench.query("select count(*)::text from fgnet.fragment_history where z = 3") != "0")
  }

  @Test func theTailIsProvisionalUntilTheVolumeIsFinished() throws {
    let bench = try Bench()
    try bench.run((0..<4).map { [try bench.write($0)] }, finish: false)
    #expect(try bench.query("select string_agg(distinct state, ',') from fgnet.section") == "provisional")
    #expect(try bench.query("select count(*)::text from fgnet.fragment where state <> 'provisional'") == "0")
    let shown = Int(try bench.query("select count(*)::text from fgnet.segment where state = 'provisional'")) ?? 0
    #expect(shown > 0)
    // Provisional segments go on through sections.
    #expect(Int(try bench.query("select max(sections)::text from fgnet.segments")) == 4)
    try bench.run([])
    #expect(try bench.query("select string_agg(distinct state, ',') from fgnet.section") == "final")
    #expect(try bench.query("select count(*)::text from fgnet.fragment where state = 'provisional'") == "0")
    #expect(try bench.query("select count(*)::text from fgnet.lineage_event where event = 'settled'") != "0")
  }

  @Test func filesLeftInTheStoreAreThoseTheRowsName() throws {
    let bench = try Bench()
    try bench.run((0..<8).map { [try bench.write($0)] })
    let named = try bench.query("select string_agg(file, ',' order by z) from fgnet.section").split(separator: ",")
    let products = try bench.stored().filter { $0.hasPrefix("z") && !isImageName($0) }
    #expect(products == named.map(String.init).sorted())
    #expect(try bench.stored().filter(isImageName).count == 8)
    #expect(try bench.stored().contains("volume.h5"))
  }

  @Test func badFilesAreSetAsideWithAReasonAndTheRestGoesOn() throws {
    let bench = try Bench()
    var files = try (0..<3).map { try bench.write($0) }
    let text = bench.watched + "/s3.png"
    try Data("no image".utf8).write(to: URL(fileURLWithPath: text))
    files.append(try bench.offer(text, 3))
    let small = bench.watched + "/s4.png"
    try PNGWriter.write(gray: Plane<UInt8>(height: 10, width: 10, repeating: 7), to: small)
    files.append(try bench.offer(small, 4))
    files.append(try bench.write(5))
    try bench.run([files])
    #expect(try bench.query("select count(*)::text from fgnet.section where state <> 'received'") == "4")
    let reasons = try bench.query("select string_agg(reason, '|' order by path) from fgnet.quarantine")
    #expect(reasons.contains("10 x 10"), "\(reasons)")
    #expect(reasons.contains("s3.png"), "\(reasons)")
  }
}
