import Domain
import Testing

@testable import Web

@Suite struct PyramidTests {
  @Test func levelsEndWithOneTile() {
    #expect(Pyramid.levels(SectionSize(height: 256, width: 100)) == 1)
    #expect(Pyramid.levels(SectionSize(height: 257, width: 100)) == 2)
    #expect(Pyramid.levels(SectionSize(height: 8192, width: 8192)) == 6)
    #expect(Pyramid.length(1, level: 5) == 1)
    #expect(Pyramid.length(0, level: 5) == 0)
    #expect(Pyramid.length(513, level: 1) == 257)
    #expect(Pyramid.length(512, level: 1) == 256)
  }

  @Test func windowsAreClipped() {
    let size = SectionSize(height: 300, width: 200)
    #expect(
      Pyramid.window(TilePlace(level: 0, y: 1, x: 0), size) == PlaneWindow(rows: 256..<300, columns: 0..<200))
    #expect(
      Pyramid.window(TilePlace(level: 1, y: 0, x: 0), size) == PlaneWindow(rows: 0..<150, columns: 0..<100))
    for (level, y, x) in [(0, 2, 0), (0, -1, 0), (2, 0, 0), (-1, 0, 0), (0, 0, 1), (0, .max, 0), (.max, 0, 0)] {
      #expect(Pyramid.window(TilePlace(level: level, y: y, x: x), size) == nil)
    }
  }

  @Test func modeIsWhatIsThereMostOften() {
    #expect(Pyramid.mode(1, 2, 2, 3) == 2)
    #expect(Pyramid.mode(1, 2, 3, 3) == 3)
    #expect(Pyramid.mode(1, 2, 3, 4) == 1)
    #expect(Pyramid.mode(4, 1, 1, 4) == 4)
    #expect(Pyramid.mode(5, 1, 5, 1) == 5)
  }

  /// Tiles of every level, made of parts or of whole readings, equal those of the plane halved as a whole, at odd sizes too.
  @Test(arguments: [(513, 771), (256, 256), (257, 1), (1023, 512), (2500, 1100)])
  func tilesEqualTheHalvedWhole(height: Int, width: Int) throws {
    let size = SectionSize(height: height, width: width)
    var whole = Plane<UInt8>(height: height, width: width, repeating: 0)
    for k in whole.storage.indices { whole.storage[k] = UInt8(truncatingIfNeeded: k &* 2_654_435_761 >> 7) }
    let full = whole
    let tiles = Tiles(cache: 64 << 20)
    for level in 0..<Pyramid.levels(size) {
      for y in 0...whole.height / Pyramid.side {
        for x in 0...whole.width / Pyramid.side {
          let place = TilePlace(level: level, y: y, x: x)
          let tile = try tiles.values("s", .image, size, place) { full.cropped(to: $0) }
          #expect(tile == Pyramid.window(place, size).map { whole.cropped(to: $0) }, "level \(level), \(y), \(x)")
        }
      }
      whole = Pyramid.halved(whole, Pyramid.mean)
    }
  }

  /// A map of half the size is the section's level 1.
  @Test(arguments: [(512, 640), (513, 771), (1, 1), (301, 2)])
  func doubledMapsAreTheLevelAbove(height: Int, width: Int) throws {
    let size = SectionSize(height: height, width: width)
    let half = Pyramid.size(size, level: 1)
    var map = Plane<UInt8>(height: half.height, width: half.width, repeating: 0)
    for k in map.storage.indices { map.storage[k] = UInt8(truncatingIfNeeded: k &* 2_654_435_761 >> 7) }
    let full = Pyramid.doubled(map, height: height, width: width)
    #expect(Pyramid.halved(full, Pyramid.mean) == map)
    #expect(full[height - 1, width - 1] == map[half.height - 1, half.width - 1])
  }

  /// Coarse labels show what is most frequent among segments, which may not be what is among fragments.
  @Test func coarseSegmentsAreModesOfSegments() throws {
    let size = SectionSize(height: 2, width: 300)
    var labels = Plane<UInt32>(height: 2, width: 300, repeating: 0)
    (labels[0, 0], labels[0, 1], labels[1, 0], labels[1, 1]) = (1, 2, 3, 4)
    let table = SegmentTable([0, 7, 9, 9, 5])
    let place = TilePlace(level: 1, y: 0, x: 0)
    let (source, tiles) = (labels, Tiles(cache: 1 << 20))
    let fragments = try tiles.labels("s", size, place) { source.cropped(to: $0) }
    let segments = try tiles.segments("s", table, size, place) { source.cropped(to: $0) }
    #expect(fragments?[0, 0] == 1 && segments?[0, 0] == 9)
    let merged = try tiles.segments("s", SegmentTable([0, 7, 8, 8, 5]), size, place) { source.cropped(to: $0) }
    #expect(merged?[0, 0] == 8, "another table is another tile")
    #expect(SegmentTable([0, 1]).name != SegmentTable([0, 2]).name && SegmentTable([0, 1])[5] == 0)
  }

  @Test func cacheKeepsTheLatestWithinItsLimit() {
    let cache = ByteCache<Int, Int>(limit: 100)
    for k in 0..<10 { cache.insert(k, bytes: 10, for: k) }
    #expect(cache[0] == 0)
    cache.insert(10, bytes: 10, for: 10)
    #expect(cache.bytes <= 100)
    #expect(cache[0] == 0 && cache[10] == 10 && cache[1] == nil)
    cache.insert(11, bytes: 101, for: 11)
    #expect(cache[11] == nil)
  }
}
