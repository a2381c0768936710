import Domain
import Testing

@Suite("Border mask") struct BorderMaskTests {
  private let none = BorderMask.background

  @Test("25 nm of pixels of 4 nm are 6.25 pixels on both sides of the boundary") func row() {
    let truth = Plane<UInt64>(height: 1, width: 20, storage: (0..<20).map { $0 < 10 ? 1 : 2 })
    let masked = BorderMask(distance: 25, pixel: (4, 4)).masked(truth)
    // Boundary pixels are 9 and 10.
    let expected: [UInt64] = [1, 1, 1] + Array(repeating: none, count: 14) + [2, 2, 2]
    #expect(masked.storage == expected)
  }

  @Test("distance 0 masks the boundary pixels alone, and the section's edge is none") func zero() {
    var truth = Plane<UInt64>(height: 5, width: 5, repeating: 3)
    truth[2, 2] = 0
    let masked = BorderMask(distance: 0, pixel: (6, 6)).masked(truth)
    for y in 0..<5 {
      for x in 0..<5 { #expect((masked[y, x] == none) == (abs(y - 2) + abs(x - 2) <= 1), "(\(y), \(x))") }
    }
    let plain = Plane<UInt64>(height: 4, width: 3, repeating: 8)
    #expect(BorderMask(distance: 100, pixel: (6, 6)).masked(plain) == plain)
    #expect(BorderMask(distance: 9, pixel: (6, 6)).masked(Plane(height: 0, width: 0, repeating: 0)).storage.isEmpty)
  }

  @Test("as measured pixel by pixel", arguments: 0..<12 as Range<UInt64>)
  func naive(seed: UInt64) {
    var generator = SplitMix(seed: seed)
    let (height, width) = (Int(generator.next() % 14 + 1), Int(generator.next() % 14 + 1))
    let pixel = (y: Double(generator.next() % 5 + 2), x: Double(generator.next() % 5 + 2))
    let distance = Double(generator.next() % 20)
    let side = Int(generator.next() % 5 + 3)
    let truth = Plane<UInt64>(
      height: height, width: width,
      storage: (0..<height * width).map { UInt64($0 / width / side * 7 + $0 % width / side) })
    func label(_ y: Int, _ x: Int) -> UInt64? {
      (0..<height).contains(y) && (0..<width).contains(x) ? truth[y, x] : nil
    }
    var boundary: [(Int, Int)] = []
    for y in 0..<height {
      for x in 0..<width {
        let around = [label(y - 1, x), label(y + 1, x), label(y, x - 1), label(y, x + 1)]
        if around.contains(where: { $0 != nil && $0 != truth[y, x] }) { boundary.append((y, x)) }
      }
    }
    let masked = BorderMask(distance: distance, pixel: pixel).masked(truth)
    for y in 0..<height {
      for x in 0..<width {
        let near = boundary.contains { row, column in
          let (dy, dx) = (Double(row - y) * pixel.y, Double(column - x) * pixel.x)
          return dy * dy + dx * dx <= distance * distance
        }
        #expect(masked[y, x] == (near ? none : truth[y, x]), "(\(y), \(x)) of \(height) x \(width)")
      }
    }
  }
}
