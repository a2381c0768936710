import Domain
import Testing

@testable import Daemon

@Suite struct OfferQueueTests {
  func file(_ z: SectionNumber, _ name: String = "") -> OfferedFile {
    OfferedFile(volume: "test", z: z, path: "/scope/\(z)\(name).tif", size: 1, mtimeNs: 1)
  }

  /// In the order of names, section 10 comes before section 2, and would be taken for the first of the stack.
  @Test func lowerSectionsComeFirst() throws {
    let bench = try Bench(size: 64)
    let files = try [10, 2, 3, 1].map { try bench.write($0) }
    try bench.run([files])
    let order = try bench.query("select string_agg(z::text, ',' order by section_id) from fgnet.section")
    #expect(order == "1,2,3,10")
  }

  @Test func filesOfOtherVolumesAreDropped() {
    var queue = OfferQueue()
    queue.add([file(1), file(2)])
    #expect(queue.count == 2 && queue.count(volume: "test") == 2 && queue.count(volume: "other") == 0)
    queue.read(for: [], by: SerialExecutor())
    #expect(queue.isEmpty && queue.first == nil)
  }
}
