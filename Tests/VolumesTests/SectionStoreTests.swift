import Domain
import Foundation
import Testing

@testable import Volumes

/// A section with every part, the same for the same seed.
func madeSection(_ height: Int = 70, _ width: Int = 90, z: SectionNumber = -4, seed: UInt64 = 5) -> SectionProducts {
  var generator = SeededGenerator(seed)
  let largest = UInt32(min(40, height * width))
  let labels: Plane<UInt32> = randomPlane(height, width, largest: largest, using: &generator)
  let ids = (1...40).map { FragmentID(z: z, signature: 77, label: $0) }
  let edges = (0..<39).map { i in
    let bins = (0...255).filter { _ in generator.next() % 20 == 0 }.map { UInt8($0) }
    return RegionEdge(
      a: ids[i], b: ids[i + 1],
      histogram: AffinityHistogram(bins: bins, counts: bins.map { _ in UInt32(generator.next() % 1000 + 1) }))
  }
  let summaries = (1...40).map { label in
    FragmentSummary(
      label: UInt32(label), area: Int(generator.next() % 500), minY: -1, minX: Int32(label), maxY: 60, maxX: 88,
      centroidY: Double(generator.next() % 1000) / 7, centroidX: 0.1)
  }
  let image: Plane<UInt8> = randomPlane(height, width, using: &generator)
  var affinities = AffinitySection(
    z: randomPlane(height, width, using: &generator), y: randomPlane(height, width, using: &generator),
    x: randomPlane(height, width, using: &generator))
  let half = PlaneWindow(height: height, width: width).halved
  affinities.coarse = CoarseAffinities(
    z: randomPlane(half.height, half.width, using: &generator),
    y: randomPlane(half.height, half.width, using: &generator),
    x: randomPlane(half.height, half.width, using: &generator))
  return SectionProducts(
    z: z, image: image, affinities: affinities, fragments: FragmentSection(labels: labels, count: Int(largest)),
    graph: SectionGraph(z: z, fragments: ids, areas: ids.map { Int($0.label) * 3 }, edges: edges), summaries: summaries,
    attributes: [
      "source": "säktion 1.tif", "empty": "", "model": "fgnet-1", "long": String(repeating: "x", count: 5000),
    ])
}

@Suite struct SectionStoreTests {
  let folder: TemporaryFolder
  let store: SectionStore

  init() throws {
    folder = try TemporaryFolder()
    store = SectionStore(directory: folder.path)
  }

  @Test(arguments: [(70, 90), (1, 1), (256, 256), (257, 513)])
  func everythingComesBack(height: Int, width: Int) throws {
    let section = madeSection(height, width)
    try store.write(section, name: "z.h5")
    #expect(try store.read("z.h5") == section)
    #expect(try store.attributes("z.h5") == section.attributes)
    #expect(try folder.names() == ["z.h5"])
  }

  /// Part by part, read meanwhile: the same bytes.
  @Test(arguments: [(70, 90), (1, 1), (257, 513)])
  func aFileInParts(height: Int, width: Int) throws {
    var section = madeSection(height, width)
    section.image = nil
    try store.write(section, name: "whole.h5")
    let writer = try store.begin("parts.h5", z: section.z)
    let (affinities, fragments) = (try #require(section.affinities), try #require(section.fragments))
    try writer.write(affinities)
    try writer.write(fragments)
    for rows in [0..<1, height / 2..<height, 0..<height] {
      func part<T>(_ plane: Plane<T>) -> [T] {
        plane.cropped(to: PlaneWindow(rows: rows, columns: 0..<width)).storage
      }
      let found = try writer.read(SectionRows(rows: rows, width: width, parts: [.fragments, .affinities]))
      #expect(found.labels == part(fragments.labels))
      #expect(found.z == part(affinities.z) && found.y == part(affinities.y) && found.x == part(affinities.x))
    }
    try writer.write(try #require(section.graph), try #require(section.summaries))
    #expect(!store.exists("parts.h5"))
    try writer.finish(attributes: section.attributes)
    #expect(try store.read("parts.h5") == section)
    #expect(try contents(folder.file("parts.h5")) == contents(folder.file("whole.h5")))
    let rows = SectionRows(rows: 0..<height, width: width, parts: .fragments)
    #expect(try store.read("parts.h5", rows).labels == fragments.labels.storage)
    #expect(try store.read("parts.h5", rows).z.isEmpty)
    let shape = try #require(try store.fragmentShape("parts.h5"))
    #expect(shape == (height, width, fragments.count))
    #expect(throws: VolumeError.self) {
      try store.read("parts.h5", SectionRows(rows: 0..<height + 1, width: width, parts: .fragments))
    }
  }

  @Test func anUnfinishedFileLeavesNothing() throws {
    let section = madeSection()
    var writer: SectionWriter? = try store.begin("z.h5", z: 1)
    try writer?.write(try #require(section.affinities))
    writer = nil
    #expect(try folder.names().isEmpty)
  }

  @Test(arguments: [8, 16])
  func windowsOfTheSource(bitDepth: Int) throws {
    var generator = SeededGenerator(8)
    let pixels: Plane<UInt16> = randomPlane(70, 300, largest: bitDepth == 8 ? 255 : 65535, using: &generator)
    let image = SectionImage(bitDepth: bitDepth, pixels: pixels)
    try store.writeSource(image, z: 1, name: "s.h5", attributes: [:])
    for window in [
      PlaneWindow(height: 70, width: 300), PlaneWindow(rows: 3..<4, columns: 299..<300),
      PlaneWindow(rows: 10..<70, columns: 200..<290),
    ] {
      #expect(try store.readSource("s.h5", window) == image.normalised().cropped(to: window))
    }
  }

  @Test func windowsOfAffinities() throws {
    var section = madeSection(71, 301)
    try store.write(section, name: "z.h5")
    let found = try #require(section.affinities)
    let (planes, coarse) = ([found.z, found.y, found.x], try #require(found.coarse))
    for window in [
      PlaneWindow(height: 71, width: 301), PlaneWindow(rows: 4..<5, columns: 300..<301),
      PlaneWindow(rows: 10..<70, columns: 200..<290),
    ] {
      for (axis, half) in [coarse.z, coarse.y, coarse.x].enumerated() {
        #expect(try store.readAffinities("z.h5", axis: axis, window) == planes[axis].cropped(to: window))
        #expect(
          try store.readAffinities("z.h5", .coarse, axis: axis, window.halved) == half.cropped(to: window.halved))
      }
    }
    let corner = PlaneWindow(height: 1, width: 1)
    #expect(try store.parts("z.h5") == [.image, .affinities, .coarse, .fragments, .graph, .summaries])
    #expect(try store.read("z.h5", parts: .affinities).affinities?.coarse == nil, "only where it is asked for")
    section.affinities?.coarse = nil
    try store.write(section, name: "plain.h5")
    #expect(try store.read("plain.h5") == section)
    #expect(try store.parts("plain.h5") == [.image, .affinities, .fragments, .graph, .summaries])
    #expect(try store.readAffinities("plain.h5", .coarse, axis: 0, corner) == nil)
    section.affinities = nil
    try store.write(section, name: "none.h5")
    #expect(try store.readAffinities("none.h5", axis: 0, corner) == nil)
  }

  @Test func partsComeAlone() throws {
    let section = madeSection()
    try store.write(section, name: "z.h5")
    var expected = SectionProducts(z: section.z, attributes: section.attributes)
    #expect(try store.read("z.h5", parts: []) == expected)
    expected.graph = section.graph
    expected.fragments = section.fragments
    #expect(try store.read("z.h5", parts: [.graph, .fragments]) == expected)
  }

  @Test func absentAndEmptyPartsStayApart() throws {
    let bare = SectionProducts(z: 131_071)
    try store.write(bare, name: "bare.h5")
    #expect(try store.read("bare.h5") == bare)
    let empty = SectionProducts(
      z: 0, fragments: FragmentSection(labels: Plane(height: 3, width: 2, repeating: 0), count: 0),
      graph: SectionGraph(z: 0, fragments: [], areas: [], edges: []), summaries: [])
    try store.write(empty, name: "empty.h5")
    #expect(try store.read("empty.h5") == empty)
  }

  @Test func equalSectionsGiveEqualBytes() throws {
    try store.write(madeSection(), name: "a.h5")
    try store.write(madeSection(), name: "b.h5")
    #expect(try contents(store.path("a.h5")) == contents(store.path("b.h5")))
  }

  @Test func aRewriteReplacesAndRemoveRemoves() throws {
    try store.write(madeSection(seed: 1), name: "z.h5")
    let second = madeSection(seed: 2)
    try store.write(second, name: "z.h5")
    #expect(try store.read("z.h5") == second)
    try store.remove("z.h5")
    try store.remove("z.h5")
    #expect(try folder.names() == [])
    #expect(throws: VolumeError.unreadable(path: store.path("z.h5"), reason: "No such file or directory")) {
      try store.read("z.h5")
    }
  }

  @Test func anyCutIsCorruptAndNamed() throws {
    try store.write(madeSection(), name: "z.h5")
    let bytes = try contents(store.path("z.h5"))
    for length in stride(from: 0, to: bytes.count, by: 311) {
      try put(Array(bytes[..<length]), store.path("z.h5"))
      let error = #expect(throws: VolumeError.self) { try store.read("z.h5") }
      guard case .corrupt(store.path("z.h5"), _)? = error else {
        Issue.record("cut to \(length): \(String(describing: error))")
        return
      }
    }
    try put(Array("no section".utf8), store.path("z.h5"))
    let error = #expect(throws: VolumeError.self) { try store.read("z.h5") }
    #expect(error?.description.contains("z.h5 is damaged") == true)
  }

  @Test func aChangedByteIsNoticedOrHarmless() throws {
    let section = madeSection()
    try store.write(section, name: "z.h5")
    let bytes = try contents(store.path("z.h5"))
    var generator = SeededGenerator(9)
    var noticed = 0
    for _ in 0..<300 {
      var changed = bytes
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      changed[place] ^= UInt8.random(in: 1...255, using: &generator)
      try put(changed, store.path("z.h5"))
      do {
        let read = try store.read("z.h5")
        #expect(read == section, "byte \(place) changed the section unnoticed")
      } catch {
        noticed += 1
      }
    }
    #expect(noticed > 200)
  }

  @Test func aFullDiskLeavesTheOldFileAndNothingElse() async {
    // A limit on the size of files in a process of its own: writes fail half-way as they do on a full disk.
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let store = SectionStore(directory: folder.path)
      let old = madeSection(30, 30)
      try store.write(old, name: "z.h5")
      signal(SIGXFSZ, SIG_IGN)
      for limit in [0, 100, 5000, 60_000, 200_000, 1_000_000] {
        var size = rlimit(rlim_cur: rlim_t(limit), rlim_max: rlim_t.max)
        precondition(setrlimit(__rlimit_resource_t(1), &size) == 0)
        do throws(VolumeError) {
          try store.write(madeSection(700, 700), name: "z.h5")
          preconditionFailure("written within \(limit) bytes")
        } catch {
          precondition(error == VolumeError.noSpace(path: folder.file("z.h5")), "\(error)")
        }
        try #require(try folder.names() == ["z.h5"])
        try #require(try store.read("z.h5") == old)
      }
      var size = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)
      precondition(setrlimit(__rlimit_resource_t(1), &size) == 0)
      let new = madeSection(700, 700)
      try store.write(new, name: "z.h5")
      try #require(try store.read("z.h5") == new)
    }
  }

  @Test func leftOversAreRemoved() throws {
    try store.write(madeSection(), name: "z.h5")
    try put([1, 2, 3], folder.file(".z000001.h5.tmp"))
    try put([1], folder.file("kept.tmp"))
    #expect(try store.removeTemporaries() == [".z000001.h5.tmp"])
    #expect(try folder.names() == ["kept.tmp", "z.h5"])
  }

  @Test func foldersAndNamesAreChecked() {
    let nowhere = SectionStore(directory: folder.file("nowhere"))
    #expect(throws: VolumeError.unwritable(path: nowhere.path("z.h5"), reason: "No such file or directory")) {
      try nowhere.write(SectionProducts(z: 1), name: "z.h5")
    }
    for name in ["", "../z.h5", ".hidden", "a/b"] {
      #expect(throws: VolumeError.self) { try store.write(SectionProducts(z: 1), name: name) }
    }
  }

  @Test func sectionsAreWrittenFromManyThreads() async throws {
    let store = store
    try await withThrowingTaskGroup(of: Void.self) { group in
      for z in 0..<8 {
        group.addTask {
          let section = madeSection(z: SectionNumber(z), seed: UInt64(z))
          try store.write(section, name: "z\(z).h5")
          guard try store.read("z\(z).h5") == section else { throw PythonFailure(text: "section \(z) differs") }
        }
      }
      try await group.waitForAll()
    }
    #expect(try folder.names() == (0..<8).map { "z\($0).h5" })
  }
}
