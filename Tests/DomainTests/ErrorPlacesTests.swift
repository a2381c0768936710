import Testing

@testable import Domain

@Suite("Places of errors") struct ErrorPlacesTests {
  private func plane(_ rows: [[UInt64]]) -> Plane<UInt64> {
    Plane(height: rows.count, width: rows.first?.count ?? 0, storage: rows.flatMap { $0 })
  }

  private let voxel = (z: 30.0, y: 6.0, x: 6.0)

  private func error(_ kind: CostlyError.Kind, _ label: UInt64, _ parts: UInt64...) -> CostlyError {
    CostlyError(
      kind: kind, label: label, voxels: 100, bits: 1, parts: parts.map { CostlyError.Part(label: $0, voxels: 50) })
  }

  @Test("the section with the longest contact, in the middle of it") func contact() throws {
    var places = ErrorPlaces([error(.merge, 9, 1, 2)], voxelSize: voxel)
    places.add(z: 3, truth: plane([[1, 1, 0, 2]]), found: plane([[9, 9, 9, 9]]))
    places.add(
      z: 4, truth: plane([[1, 1, 1, 1, 1], [2, 2, 2, 2, 2]]), found: plane([[9, 9, 9, 9, 9], [9, 9, 9, 9, 9]]))
    places.add(z: 5, truth: plane([[1, 2], [1, 1]]), found: plane([[9, 9], [9, 9]]))
    places.add(z: 6, truth: plane([[1, 2]]), found: plane([[9, 8]]))
    let place = try #require(places.places[0])
    #expect(place == .init(z: 4, otherZ: 4, y: 0, x: 2, distance: 6, firstZ: 3, lastZ: 6))
  }

  @Test("parts that do not touch: where they come closest") func gap() throws {
    var places = ErrorPlaces([error(.split, 7, 1, 2)], voxelSize: voxel)
    places.add(z: 0, truth: plane([[7, 0, 0, 0, 7]]), found: plane([[1, 1, 1, 2, 2]]))
    places.add(z: 1, truth: plane([[7, 0, 7]]), found: plane([[1, 1, 2]]))
    let place = try #require(places.places[0])
    #expect(place == .init(z: 1, otherZ: 1, y: 0, x: 1, distance: 12, firstZ: 0, lastZ: 1))
  }

  @Test("parts in different sections") func betweenSections() throws {
    var places = ErrorPlaces([error(.split, 7, 1, 2)], voxelSize: voxel)
    places.add(z: 0, truth: plane([[7, 7, 7, 5]]), found: plane([[1, 1, 1, 1]]))
    places.add(z: 1, truth: plane([[7, 7, 7, 5]]), found: plane([[3, 3, 3, 3]]))
    places.add(z: 2, truth: plane([[5, 7, 7, 7]]), found: plane([[2, 2, 2, 2]]))
    let place = try #require(places.places[0])
    #expect(place == .init(z: 2, otherZ: 0, y: 0, x: 1, distance: 60, firstZ: 0, lastZ: 2))
  }

  @Test("a section step is nearer than a long way within the section") func anisotropic() throws {
    var places = ErrorPlaces([error(.merge, 9, 1, 2)], voxelSize: voxel)
    let wide: [UInt64] = [1, 0, 0, 0, 0, 0, 0, 0, 2]
    places.add(z: 0, truth: plane([wide]), found: plane([[UInt64](repeating: 9, count: 9)]))
    places.add(z: 1, truth: plane([wide.reversed()]), found: plane([[UInt64](repeating: 9, count: 9)]))
    let place = try #require(places.places[0])
    #expect(place.z == 1 && place.otherZ == 0 && place.distance == 30)
  }

  @Test("parts far apart: the end of the smaller one, in its section") func far() throws {
    var places = ErrorPlaces([error(.split, 7, 1, 2)], voxelSize: voxel)
    let row = [UInt64](repeating: 1, count: 10) + [UInt64](repeating: 3, count: 90)
    places.add(z: 4, truth: plane([[UInt64](repeating: 7, count: 100)]), found: plane([row]))
    let upper = [UInt64](repeating: 3, count: 90) + [UInt64](repeating: 2, count: 10)
    places.add(z: 5, truth: plane([[UInt64](repeating: 7, count: 100)]), found: plane([upper]))
    var place = try #require(places.places[0])
    #expect((place.z, place.otherZ, place.x) == (5, 4, 90))
    // The same with the parts exchanged.
    places = ErrorPlaces([error(.split, 7, 2, 1)], voxelSize: voxel)
    places.add(z: 4, truth: plane([[UInt64](repeating: 7, count: 100)]), found: plane([row]))
    places.add(z: 5, truth: plane([[UInt64](repeating: 7, count: 100)]), found: plane([upper]))
    place = try #require(places.places[0])
    #expect((place.z, place.otherZ, place.x) == (4, 5, 9))
  }

  @Test("an error that is in no section has no place") func absent() {
    var places = ErrorPlaces([error(.merge, 9, 1, 2), error(.split, 1, 8, 9)], voxelSize: voxel)
    places.add(z: 0, truth: plane([[1, 1]]), found: plane([[9, 9]]))
    #expect(places.places == [nil, nil])
  }

  @Test("the closest approach is that of all pairs of pixels", arguments: 0..<40 as Range<UInt64>)
  func allPairs(seed: UInt64) throws {
    var generator = SplitMix(seed: seed)
    let (height, width) = (Int(generator.next() % 9 + 1), Int(generator.next() % 12 + 1))
    let density = generator.next() % 12 + 2
    let pixel = (y: Double(generator.next() % 3 + 1), x: Double(generator.next() % 3 + 1))
    let rise = Double(generator.next() % 2) * 5
    var sets: [[(y: Int, x: Int)]] = [[], []]
    for y in 0..<height {
      for x in 0..<width {
        let draw = generator.next() % density
        if draw < 2 { sets[Int(draw)].append((y, x)) }
      }
    }
    let runs = sets.map { pixels in
      var runs = PixelRuns()
      for pixel in pixels { runs.append(y: pixel.y, first: pixel.x, last: pixel.x) }
      return runs
    }
    var best = Double.infinity
    for a in sets[0] {
      for b in sets[1] {
        let (dy, dx) = (Double(a.y - b.y) * pixel.y, Double(a.x - b.x) * pixel.x)
        best = min(best, dy * dy + dx * dx + rise * rise)
      }
    }
    let found = runs[0].approach(to: runs[1], height: rise, pixel: pixel, within: .infinity)
    #expect((found?.squared ?? .infinity) == best)
    #expect(runs[1].approach(to: runs[0], height: rise, pixel: pixel, within: .infinity)?.squared == found?.squared)
    if best.isFinite {
      #expect(runs[0].approach(to: runs[1], height: rise, pixel: pixel, within: best)?.pairs == found?.pairs)
      #expect(runs[0].approach(to: runs[1], height: rise, pixel: pixel, within: best - 0.5) == nil)
    }
  }
}
