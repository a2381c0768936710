import Domain
import Testing

@testable import Web

@Suite struct PyramidTests {
  @Test func levelsEndWithOneTile() {
    #expect(Pyramid.levels(height: 256, width: 100) == 1)
    #expect(Pyramid.levels(height: 257, width: 100) == 2)
    #expect(Pyramid.levels(height: 8192, width: 8192) == 6)
    #expect(Pyramid.length(1, level: 5) == 1)
    #expect(Pyramid.length(513, level: 1) == 257)
  }

  @Test func windowsAreClipped() {
    #expect(Pyramid.window(y: 1, x: 0, height: 300, width: 200) == PlaneWindow(rows: 256..<300, columns: 0..<200))
    #expect(Pyramid.window(y: 2, x: 0, height: 300, width: 200) == nil)
    #expect(Pyramid.window(y: -1, x: 0, height: 300, width: 200) == nil)
  }

  @Test func modeIsWhatIsThereMostOften() {
    #expect(Pyramid.mode(1, 2, 2, 3) == 2)
    #expect(Pyramid.mode(1, 2, 3, 3) == 3)
    #expect(Pyramid.mode(1, 2, 3, 4) == 1)
    #expect(Pyramid.mode(4, 1, 1, 4) == 4)
    #expect(Pyramid.mode(5, 1, 5, 1) == 5)
  }

  /// Tiles of a level equal the tiles of the halved whole plane, at odd sizes too.
  @Test(arguments: [(513, 771), (256, 256), (257, 1), (1023, 512)])
  func tilesEqualTheHalvedWhole(height: Int, width: Int) {
    var whole = Plane<UInt8>(height: height, width: width, repeating: 0)
    for k in whole.storage.indices { whole.storage[k] = UInt8(truncatingIfNeeded: k &* 2_654_435_761 >> 7) }
    let halved = Pyramid.halved(whole, Pyramid.mean)
    #expect(halved.height == Pyramid.length(height, level: 1) && halved.width == Pyramid.length(width, level: 1))
    for y in 0...halved.height / Pyramid.side {
      for x in 0...halved.width / Pyramid.side {
        guard let window = Pyramid.window(y: y, x: x, height: halved.height, width: halved.width) else { continue }
        let tile = Pyramid.tile(
          window, below: (height, width), zero: 0, joined: Pyramid.mean,
          read: { y, x in
            guard let part = Pyramid.window(y: y, x: x, height: height, width: width) else {
              Issue.record("asked for a tile outside")
              return Plane(height: 0, width: 0, repeating: 0)
            }
            return whole.cropped(to: part)
          })
        #expect(tile == halved.cropped(to: window))
      }
    }
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
