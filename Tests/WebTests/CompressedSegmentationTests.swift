import Domain
import Testing

@testable import Web

@Suite struct CompressedSegmentationTests {
  /// Read back as the format's description says, independently of the writer.
  private func decoded(_ words: [UInt32], height: Int, width: Int) -> Plane<UInt64> {
    var plane = Plane<UInt64>(height: height, width: width, repeating: 0)
    let base = Int(words[0])
    let across = (width + 7) / 8
    for y in 0..<height {
      for x in 0..<width {
        let entry = base + 2 * ((y / 8) * across + x / 8)
        let table = base + Int(words[entry] & 0xFF_FFFF)
        let bits = Int(words[entry] >> 24)
        let values = base + Int(words[entry + 1])
        let place = (y % 8) * 8 + x % 8
        var index = 0
        if bits > 0 {
          let word = words[values + place * bits / 32]
          index = Int(word >> UInt32(place * bits % 32) & (bits == 32 ? .max : (1 << UInt32(bits)) - 1))
        }
        plane[y, x] = UInt64(words[table + 2 * index]) | UInt64(words[table + 2 * index + 1]) << 32
      }
    }
    return plane
  }

  @Test(arguments: [1, 2, 3, 5, 17, 64], [(8, 8), (1, 1), (13, 27), (256, 250)])
  func everyCountOfLabelsComesBack(labels: Int, size: (Int, Int)) {
    var plane = Plane<UInt64>(height: size.0, width: size.1, repeating: 0)
    var state: UInt64 = 7
    for k in plane.storage.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let label = Int(state >> 33) % labels
      plane.storage[k] = label == 0 ? 0 : 4_611_721_202_799_476_737 &+ UInt64(label) &* 0x1_0000_0001
    }
    #expect(decoded(CompressedSegmentation.encode(plane), height: size.0, width: size.1) == plane)
  }

  @Test func oneLabelTakesNoBits() {
    let words = CompressedSegmentation.encode(Plane<UInt64>(height: 64, width: 64, repeating: 9))
    // Offset, 64 blocks, one table of one label.
    #expect(words.count == 1 + 128 + 2)
  }

  @Test func chunkNamesOfTheGridOnly() {
    let size = SectionSize(height: 250, width: 600)
    func place(_ name: String, _ level: Int = 0) -> (place: TilePlace, z: SectionNumber)? {
      Precomputed.place(name, level: level, size)
    }
    #expect(place("0-256_0-250_5-6")?.z == 5)
    #expect(place("256-512_0-250_-3--2")?.z == -3)
    #expect(place("512-600_0-250_0-1")?.place == TilePlace(level: 0, y: 0, x: 2))
    #expect(place("256-300_0-125_0-1", 1)?.place == TilePlace(level: 1, y: 0, x: 1))
    for name in [
      "0-255_0-250_0-1", "1-257_0-250_0-1", "0-256_0-250_0-2", "0-256_0-250", "a-b_0-250_0-1", "", "--_-_-",
      "0-256_0-250_99999999999-100000000000", "600-856_0-250_0-1", "0-256_0-250_0-1_0-1",
      "0-9223372036854775807_0-250_0-1", "-256-0_0-250_0-1", "0-256_0-250_9223372036854775807--9223372036854775808",
    ] {
      #expect(place(name) == nil, "\(name)")
    }
    #expect(place("0-150_0-63_0-1", 3) == nil && place("0-256_0-250_0-1", -1) == nil)
  }

  @Test func kindsOfVolumes() {
    #expect(Precomputed.Kind("image") == .image)
    #expect(Precomputed.Kind("segmentation") == .segmentation(asOf: nil))
    #expect(Precomputed.Kind("segmentation@12") == .segmentation(asOf: 12))
    for name in ["segmentation@", "segmentation@-1", "segmentation@x", "images", ""] {
      #expect(Precomputed.Kind(name) == nil)
    }
  }
}
