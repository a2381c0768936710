import Domain
import Foundation
import Testing

@testable import Volumes

@Suite struct VirtualVolumeTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Sums and values that h5py sees, dataset by dataset and plane by plane.
  private static let script = """
    import h5py, sys
    with h5py.File(sys.argv[1], 'r') as f:
        for name in ['fragments', 'affinities', 'image']:
            d = f[name]
            print(name, d.dtype, *d.shape, int(d.attrs['z_offset']))
            a = d[...]
            for z in range(a.shape[-3]):
                print(*a[..., z, :, :].ravel())
    """

  @Test func theStackOpensAsOneArrayWhereverItIs() throws {
    let sections = folder.file("first/sections 100%b")
    try FileManager.default.createDirectory(atPath: sections, withIntermediateDirectories: true)
    let store = SectionStore(directory: sections)
    let low = madeSection(5, 6, z: -1, seed: 21)
    let high = madeSection(5, 6, z: 2, seed: 22)
    try store.write(low, name: "a.h5")
    try store.write(high, name: "b.h5")
    let bare = SectionProducts(z: 1, fragments: high.fragments)
    try store.write(bare, name: "bare.h5")
    let entries: [(z: SectionNumber, file: String)] = [2, -1, 1].map { z in
      (z, "sections 100%b/" + (z == 2 ? "b.h5" : z == 1 ? "bare.h5" : "a.h5"))
    }
    try VirtualVolume.write(folder.file("first/volume.h5"), entries: entries, height: 5, width: 6)
    // The folder can be moved, and read from anywhere.
    try FileManager.default.moveItem(atPath: folder.file("first"), toPath: folder.file("second"))
    let printed = try python(Self.script, in: "/", folder.file("second/volume.h5"))

    func line<T: FixedWidthInteger>(_ values: [T]) -> String { values.map { String($0) }.joined(separator: " ") }
    func affinities(_ section: SectionProducts) -> [UInt8] {
      let found = section.affinities!
      return found.z.storage + found.y.storage + found.x.storage
    }
    let none = [Int](repeating: 0, count: 30)
    let lines = [
      "fragments uint32 4 5 6 -1", line(low.fragments!.labels.storage), line(none),
      line(high.fragments!.labels.storage), line(high.fragments!.labels.storage),
      "affinities uint8 3 4 5 6 -1", line(affinities(low)), line(none + none + none), line(none + none + none),
      line(affinities(high)),
      "image uint8 4 5 6 -1", line(low.image!.storage), line(none), line(none), line(high.image!.storage),
    ]
    #expect(printed.split(separator: "\n").map(String.init) == lines)
  }

  @Test func aSectionThatComesLaterIsSeen() throws {
    let store = SectionStore(directory: folder.path)
    let section = madeSection(5, 6, z: 0)
    try VirtualVolume.write(
      folder.file("volume.h5"), entries: [(0, "later.h5")], height: 5, width: 6, datasets: ["image"])
    let script = "import h5py; print(*h5py.File('volume.h5','r')['image'][...].ravel())"
    #expect(try python(script, in: folder.path).split(separator: " ").allSatisfy { UInt8($0.filter(\.isNumber)) == 0 })
    try store.write(section, name: "later.h5")
    let printed = try python(script, in: folder.path).split(whereSeparator: \.isWhitespace).compactMap { UInt8($0) }
    #expect(printed == section.image!.storage)
  }

  @Test func faultsAreRefused() {
    let path = folder.file("volume.h5")
    for (entries, datasets) in [
      ([], ["image"]), ([(1, "a"), (1, "b")], ["image"]), ([(1, "a")], ["nothing"]),
    ] as [([(z: SectionNumber, file: String)], [String])] {
      #expect(throws: VolumeError.self) {
        try VirtualVolume.write(path, entries: entries, height: 2, width: 2, datasets: datasets)
      }
    }
    #expect((try? folder.names()) == [])
  }
}

@Suite struct LabelVolumeTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func planes(_ count: Int, _ height: Int, _ width: Int, largest: UInt64) -> [Plane<UInt64>] {
    var generator = SeededGenerator(31)
    return (0..<count).map { _ in randomPlane(height, width, largest: largest, using: &generator) }
  }

  private func check(_ source: LabelSource, _ planes: [Plane<UInt64>]) throws {
    #expect(source.count == planes.count && source.height == planes[0].height && source.width == planes[0].width)
    // Not in order, as an evaluation may ask.
    for i in Array(planes.indices) + planes.indices.reversed() { #expect(try source.plane(i) == planes[i]) }
    #expect(throws: VolumeError.self) { try source.plane(planes.count) }
  }

  @Test func anExportIsReadBackHereAndElsewhere() throws {
    let made = planes(3, 11, 300, largest: UInt64(Int64.max))
    let path = folder.file("labels.h5")
    let writer = try LabelVolumeWriter(
      path: path, dataset: "volumes/labels/neuron_ids", count: 3, height: 11, width: 300, resolution: (40, 4, 4),
      offset: (-80, 0, 8), attributes: ["as_of": "run 7"])
    for plane in made { try writer.append(plane) }
    #expect(try folder.names() == [".labels.h5.tmp"])
    try writer.finish()
    #expect(try folder.names() == ["labels.h5"])
    try check(LabelSource.open(path), made)
    let script = """
      import h5py
      d = h5py.File('labels.h5', 'r')['volumes/labels/neuron_ids']
      print(d.dtype, *d.shape, *d.attrs['resolution'], *d.attrs['offset'], d.attrs['as_of'].decode(), d[2, 10, 299])
      """
    let value = made[2][10, 299]
    #expect(
      try python(script, in: folder.path) == "uint64 3 11 300 40.0 4.0 4.0 -80.0 0.0 8.0 run 7 \(value)\n")
  }

  @Test func anUnfinishedExportLeavesNothing() throws {
    let path = folder.file("labels.h5")
    do {
      let writer = try LabelVolumeWriter(path: path, count: 2, height: 2, width: 2, resolution: (1, 1, 1))
      try writer.append(Plane(height: 2, width: 2, repeating: 1))
      #expect(throws: VolumeError.self) { try writer.append(Plane(height: 2, width: 3, repeating: 1)) }
      #expect(throws: VolumeError.self) { try writer.finish() }
    }
    #expect(try folder.names() == [])
  }

  @Test(arguments: [8, 16, 32])
  func pagesOfATIFFAreRead(bits: Int) throws {
    let made = planes(4, 9, 13, largest: (1 << UInt64(bits)) - 1)
    let builder = TIFFBuilder(height: 9, width: 13, bits: bits, pages: made.map(\.storage))
    try put(builder.bytes(), folder.file("pages.tif"))
    try check(LabelSource.open(folder.file("pages.tif")), made)
  }

  @Test func aFolderIsReadInNaturalOrder() throws {
    let made = planes(12, 4, 5, largest: 65535)
    for (i, plane) in made.enumerated() {
      let words = Plane(height: 4, width: 5, storage: plane.storage.map { UInt16($0) })
      if i % 2 == 0 {
        try PNGWriter.write(gray: words, to: folder.file("plane\(i).png"))
      } else {
        try TIFFWriter.write(words, to: folder.file("plane\(i).tif"))
      }
    }
    try put([1, 2, 3], folder.file("notes.txt"))
    try check(LabelSource.open(folder.path), made)
  }

  @Test func foreignVolumesAreRefusedWithASentence() throws {
    let script = """
      import h5py, numpy as n
      f = h5py.File('v.h5', 'w')
      f['flat'] = n.zeros((3, 4), 'u4'); f['real'] = n.zeros((2, 3, 4), 'f4'); f['g/whole'] = n.arange(24).reshape(2, 3, 4)
      """
    _ = try python(script, in: folder.path)
    let path = folder.file("v.h5")
    let cases: [(String?, String)] = [
      (nil, "name the one"), ("flat", "shape"), ("real", "whole numbers"), ("no/x", "no/x"),
    ]
    for (dataset, word) in cases {
      let error = #expect(throws: VolumeError.self) { _ = try LabelSource.open(path, dataset: dataset) }
      #expect(error?.description.contains(word) == true, "\(String(describing: error))")
    }
    #expect(try LabelSource.open(path, dataset: "g/whole").plane(1).storage == Array(12..<24))
    try put(Array("text".utf8), folder.file("t.tif"))
    #expect(throws: VolumeError.self) { _ = try LabelSource.open(folder.file("t.tif")) }
    #expect(throws: VolumeError.self) { _ = try LabelSource.open(folder.file("missing")) }
  }

  @Test(arguments: [
    ("z2", "z10", true), ("z10", "z2", false), ("a", "b", true), ("z002", "z2", true), ("z", "z1", true),
    ("1b", "1a", false),
  ])
  func namesAreOrderedAsPeopleDo(a: String, b: String, before: Bool) {
    #expect(NaturalOrder.precedes(a, b) == before)
    #expect(NaturalOrder.precedes(b, a) != before)
  }
}
