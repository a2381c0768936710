import Domain
import Testing

@testable import Plugins

@Suite("Denoise")
struct DenoiseTests {
  static let shapes = [(0, 0), (0, 5), (1, 1), (1, 7), (7, 1), (5, 3), (17, 66), (31, 129), (300, 7)]

  static func image(_ height: Int, _ width: Int, seed: UInt64 = 1) -> Plane<Float> {
    var generator = SplitMix(seed: seed)
    return Plane(
      height: height, width: width, storage: (0..<height * width).map { _ in Float(generator.below(256)) / 255 })
  }

  static func crop(_ image: Plane<Float>, _ rows: Range<Int>, _ columns: Range<Int>) -> Plane<Float> {
    var storage: [Float] = []
    for y in rows {
      storage += image.storage[y * image.width + columns.lowerBound..<y * image.width + columns.upperBound]
    }
    return Plane(height: rows.count, width: columns.count, storage: storage)
  }

  static func at(_ image: Plane<Float>, _ y: Int, _ x: Int) -> Float {
    image[min(max(y, 0), image.height - 1), min(max(x, 0), image.width - 1)]
  }

  static func stages() throws -> [any ImageStage] {
    [
      try Median(MedianOptions(radius: 1)), try Median(MedianOptions(radius: 3)),
      try NonLocalMeans(NonLocalMeansOptions(patchRadius: 1, searchRadius: 3, strength: 0.2)),
      try Clahe(ClaheOptions(tile: 16, clipLimit: 2)),
    ]
  }

  @Test("median equals sorting", arguments: shapes, [1, 2, 4])
  func median(_ shape: (Int, Int), _ radius: Int) throws {
    let image = Self.image(shape.0, shape.1)
    let out = try Median(MedianOptions(radius: radius)).filtered(image)
    for y in 0..<image.height {
      for x in 0..<image.width {
        var window: [Float] = []
        for dy in -radius...radius { for dx in -radius...radius { window.append(Self.at(image, y + dy, x + dx)) } }
        #expect(out[y, x] == window.sorted()[window.count / 2], "at (\(y), \(x)) of \(shape)")
      }
    }
  }

  @Test("non-local means equals its definition", arguments: [(1, 1), (3, 8), (35, 9)])
  func nonLocalMeans(_ shape: (Int, Int)) throws {
    let image = Self.image(shape.0, shape.1)
    let patch = 1
    let search = 2
    let strength = 0.3
    let out = try NonLocalMeans(
      NonLocalMeansOptions(patchRadius: patch, searchRadius: search, strength: strength)
    ).filtered(image)
    // The padded image repeats its edge, so a patch beyond it is of constant pixels.
    for y in 0..<image.height {
      for x in 0..<image.width {
        var sum = 0.0
        var weights = 0.0
        for dy in -search...search {
          for dx in -search...search {
            var squares = 0.0
            for py in -patch...patch {
              for px in -patch...patch {
                let d = Double(Self.at(image, y + py, x + px) - Self.at(image, y + dy + py, x + dx + px))
                squares += d * d
              }
            }
            let weight = exponential(-squares / 9 / (strength * strength))
            sum += weight * Double(Self.at(image, y + dy, x + dx))
            weights += weight
          }
        }
        #expect(abs(Double(out[y, x]) - sum / weights) < 2e-3, "at (\(y), \(x)) of \(shape)")
      }
    }
  }

  /// e^x for -40 < x <= 0 by squaring a Taylor series.
  private func exponential(_ x: Double) -> Double {
    let small = x / 64
    var term = 1.0
    var sum = 1.0
    for n in 1...12 {
      term *= small / Double(n)
      sum += term
    }
    for _ in 0..<6 { sum *= sum }
    return sum
  }

  @Test("a crop with its halo equals the whole", arguments: 0..<4)
  func tiles(_ index: Int) throws {
    let stage = try Self.stages()[index]
    let image = Self.image(150, 165)
    let whole = try stage.filtered(image)
    let halo = stage.halo
    // Begins at a multiple of the alignment, ends anywhere.
    let top = 2 * stage.alignment
    let left = stage.alignment
    let part = try stage.filtered(Self.crop(image, top..<top + 2 * halo + 13, left..<left + 2 * halo + 21))
    let inner = Self.crop(part, halo..<halo + 13, halo..<halo + 21)
    let expected = Self.crop(whole, top + halo..<top + halo + 13, left + halo..<left + halo + 21)
    #expect(inner == expected)
  }

  @Test("a pixel outside the halo changes nothing, one in it does", arguments: 0..<3)
  func haloIsTight(_ index: Int) throws {
    let stage = try Self.stages()[index]
    let image = Self.image(41, 41)
    let before = try stage.filtered(image)[20, 20]
    var outside = image
    outside[20 + stage.halo + 1, 20] = 1 - outside[20 + stage.halo + 1, 20]
    #expect(try stage.filtered(outside)[20, 20] == before)
    // All of the halo's last row and column.
    var edge = image
    for i in 0...2 * stage.halo {
      edge[20 - stage.halo + i, 20 + stage.halo] = 0
      edge[20 + stage.halo, 20 - stage.halo + i] = 0
    }
    #expect(try stage.filtered(edge)[20, 20] != before)
  }

  @Test("what is not finite reads as 0, and nothing else comes out", arguments: 0..<4)
  func notFinite(_ index: Int) throws {
    let stage = try Self.stages()[index]
    var holed = Self.image(20, 23)
    var zeroed = holed
    for (place, value) in [(5, Float.nan), (90, .infinity), (91, -.infinity), (459, .signalingNaN)] {
      holed.storage[place] = value
      zeroed.storage[place] = 0
    }
    let out = try stage.filtered(holed)
    #expect(out == (try stage.filtered(zeroed)))
    #expect(!out.storage.contains { !$0.isFinite })
  }

  @Test("every size keeps its shape, twice alike", arguments: 0..<4, shapes)
  func sizes(_ index: Int, _ shape: (Int, Int)) throws {
    let stage = try Self.stages()[index]
    let image = Self.image(shape.0, shape.1)
    let out = try stage.filtered(image)
    #expect(out.height == shape.0 && out.width == shape.1)
    #expect(try stage.filtered(image) == out)
  }

  @Test("contrast is evened out: a dim half gets as bright as the other")
  func contrast() throws {
    var image = Self.image(64, 128)
    for y in 0..<64 { for x in 0..<64 { image[y, x] = 0.2 + 0.1 * image[y, x] } }
    let out = try Clahe(ClaheOptions(tile: 16, clipLimit: 256)).filtered(image)
    func spread(_ columns: Range<Int>) -> Float {
      let part = Self.crop(out, 0..<64, columns).storage
      return (part.max() ?? 0) - (part.min() ?? 0)
    }
    #expect(spread(0..<48) > 0.9 && spread(80..<128) > 0.9)
    // Equalised values keep their order within a tile's middle.
    #expect((image[8, 8] < image[8, 7]) == (out[8, 8] < out[8, 7]))
    let limited = try Clahe(ClaheOptions(tile: 16, clipLimit: 1)).filtered(image)
    // A limit of the mean count leaves a straight line: the image stays as it is to a level or so.
    for (a, b) in zip(limited.storage, image.storage) { #expect(abs(a - b) < 0.25) }
  }

  @Test("options out of range are refused with a sentence")
  func refused() {
    #expect(throws: StageError.self) { try Median(MedianOptions(radius: 0)) }
    #expect(throws: StageError.self) { try NonLocalMeans(NonLocalMeansOptions(strength: .nan)) }
    #expect(throws: StageError.self) { try Clahe(ClaheOptions(tile: 1)) }
    do {
      _ = try Median(MedianOptions(radius: 9))
      Issue.record("a radius of 9 was taken")
    } catch {
      #expect(error.description.contains("radius") && error.description.contains("from 1 to 5"))
    }
  }

  @Test("the fingerprint tells options apart")
  func fingerprints() throws {
    let stages = try Self.stages()
    #expect(Set(stages.map(\.fingerprint)).count == stages.count)
    #expect(stages[0].fingerprint == "median/1 radius=1")
  }
}
