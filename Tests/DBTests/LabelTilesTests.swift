import DB
import Domain
import Testing

/// Label tiles as SQL reads them, against the labels they were made of.
@Suite struct LabelTilesTests {
  /// A volume with one final section of these labels; every label that occurs is a fragment.
  private func volume(_ labels: [UInt32], height: Int, width: Int) throws -> TestVolume {
    let stack = try TestVolume(height: height, width: width)
    try stack.receive(0, bytes: 1)
    var tiles = LabelTiles(width: width)
    tiles.append(labels)
    let fragments = Set(labels).subtracting([0]).sorted().map { label -> (summary: FragmentSummary, id: FragmentID) in
      let pixels = labels.indices.filter { labels[$0] == label }
      let (ys, xs) = (pixels.map { $0 / width }, pixels.map { $0 % width })
      let summary = FragmentSummary(
        label: label, area: pixels.count, minY: Int32(ys.min() ?? 0), minX: Int32(xs.min() ?? 0),
        maxY: Int32((ys.max() ?? 0) + 1), maxX: Int32((xs.max() ?? 0) + 1),
        centroidY: Double(ys.reduce(0, +)) / Double(pixels.count),
        centroidX: Double(xs.reduce(0, +)) / Double(pixels.count))
      return (summary, FragmentID(z: 0, signature: 5, label: label))
    }
    try stack.record.commitFinal(
      volume: stack.volume, run: stack.run,
      [SectionCommit(z: 0, file: "f.h5", signature: "s", fragments: fragments, edges: [], labels: tiles)])
    return stack
  }

  /// Blobs, borders, single pixels, holes and corners that touch, over the edges of tiles.
  private func noise(height: Int, width: Int, seed: UInt64) -> [UInt32] {
    var generator = SeededGenerator(seed: seed)
    return (0..<(height * width)).map { place in
      let (y, x) = (place / width, place % width)
      if Int.random(in: 0..<12, using: &generator) == 0 { return UInt32.random(in: 0...3, using: &generator) }
      return UInt32(1 + (y / 9 + x / 14) % 4) * UInt32(x % 37 == 0 ? 0 : 1)
    }
  }

  @Test(arguments: [(1, 1), (3, 257), (300, 20), (256, 256), (270, 515)])
  func everyPixelComesBack(height: Int, width: Int) throws {
    let labels = noise(height: height, width: width, seed: UInt64(width))
    let stack = try volume(labels, height: height, width: width)
    let rows = try stack.database.connection.execute(
      """
      select t.min_y + r.y, t.min_x + r.first_x, t.min_x + r.end_x, r.label from label_tile t
      cross join lateral runs_in_tile(t.runs, t.height_px, 0, 256) r
      """)
    var found = [UInt32?](repeating: nil, count: labels.count)
    for row in 0..<rows.count {
      for x in try rows.int(row, 1)..<rows.int(row, 2) {
        let place = Int(try rows.int(row, 0)) * width + Int(x)
        #expect(found[place] == nil, "a pixel twice")
        found[place] = UInt32(try rows.int(row, 3))
      }
    }
    #expect(found == labels)
    // The program decodes them by itself; windows begin and end anywhere.
    let all = PlaneWindow(height: height, width: width)
    let shown = try #require(try stack.record.segmentation(volume: stack.volume, z: 0))
    for window in [all, PlaneWindow(rows: height / 3..<height, columns: width / 2..<width)] {
      let plane = try stack.record.labels(volume: stack.volume, z: 0, operation: shown.operation, window)
      #expect(plane == Plane(height: height, width: width, storage: labels).cropped(to: window))
    }
    #expect(shown.labelsOperation == shown.operation && shown.isFinal)
    let table = try stack.record.segmentsByLabel(volume: stack.volume, z: 0)
    for label in Set(labels).subtracting([0]) {
      #expect(table[Int(label)] == FragmentID(z: 0, signature: 5, label: label).rawValue)
    }
    #expect(try stack.record.segmentation(volume: stack.volume, z: 0, asOf: shown.operation - 1) == nil)
    // The look-up of a point goes another way.
    let points = try stack.database.connection.execute(
      """
      select p, segment_at('cortex', 0, p / $1::integer, p % $1::integer)
      from generate_series(0, $2::integer - 1, greatest(1, $2::integer / 4001)) p
      """, [.int(width), .int(labels.count)])
    for row in 0..<points.count {
      let place = Int(try points.int(row, 0))
      let label = labels[place]
      let segment = label == 0 ? nil : Int64(FragmentID(z: 0, signature: 5, label: label).rawValue)
      #expect(try points.optionalInt(row, 1) == segment, "pixel \(place)")
    }
  }

  /// What the exports of past moments read.
  @Test func tilesGiveThePixelsBack() throws {
    let stack = try TestVolume()
    let world = World(revisions: [0: 0, 1: 0], looksAhead: false, seed: 8)
    for z in 0...1 as ClosedRange<SectionNumber> {
      try stack.receive(z, bytes: Int(z) + 1)
      try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(z)])
    }
    let operation = try #require(try stack.record.lastOperation(volume: stack.volume))
    let sections = try stack.record.sections(volume: stack.volume, asOf: operation)
    #expect(sections.map(\.z) == [0, 1])
    for section in sections {
      let plane = try stack.record.labels(
        volume: stack.volume, z: section.z, operation: try #require(section.labels), height: World.side,
        width: World.side)
      #expect(plane.storage == World.labels(world.signature(section.z)))
      let failure = #expect(throws: DatabaseError.self) {
        try stack.record.labels(
          volume: stack.volume, z: section.z, operation: try #require(section.labels), height: World.side,
          width: World.side - 1)
      }
      #expect(failure?.description.contains("label tile of section \(section.z) at y 0, x 0") == true)
    }
    var members: [FragmentID: SegmentID] = [:]
    var order: [FragmentID] = []
    try stack.record.connection.transaction { () throws(DatabaseError) in
      try stack.record.forEachMember(volume: stack.volume, asOf: operation) { (fragment, segment) in
        members[fragment] = segment
        order.append(fragment)
      }
    }
    #expect(members == world.membership() && order == order.sorted())
  }

  @Test func theLargestLabelAndTheMostRuns() throws {
    let most = FragmentID.maximumLabel
    let labels = (0..<(256 * 256)).map { ($0 / 256 + $0 % 256) % 2 == 0 ? most : 0 }
    var tiles = LabelTiles(width: 256)
    tiles.append(labels)
    #expect(tiles.tiles.count == 1 && tiles.tiles[0].runs.count == 3 * 256 + 4 * 65536)
    let connection = try TestDatabase().connection
    var bytes = CopyBuilder(columns: 1)
    bytes.row()
    bytes.bytea(tiles.tiles[0].runs)
    try connection.script("create temporary table one (runs bytea)")
    try connection.copyIn("one", bytes)
    let found = try connection.execute(
      """
      select label_in_tile(runs, 256, 255, 255), label_in_tile(runs, 256, 255, 254), label_in_tile(runs, 256, 0, 0),
        (select count(*) from runs_in_tile(runs, 256, 0, 256)) from one
      """)
    #expect(try found.table(columns: 4) == [["\(most)", "0", "\(most)", "65536"]])
  }

  @Test func bandsGiveTheSameTiles() {
    let labels = noise(height: 600, width: 40, seed: 3)
    var whole = LabelTiles(width: 40)
    whole.append(labels)
    var parts = LabelTiles(width: 40)
    for rows in [0..<512, 512..<600] { parts.append(Array(labels[(rows.lowerBound * 40)..<(rows.upperBound * 40)])) }
    #expect(parts == whole && whole.height == 600 && whole.tiles.map(\.height) == [256, 256, 88])
  }

  @Test func outlinesEncloseExactlyThePixels() throws {
    let (height, width) = (40, 300)
    let labels = noise(height: height, width: width, seed: 8)
    let stack = try volume(labels, height: height, width: width)
    let rows = try stack.database.connection.execute("select segment_id, outline, area_px from segment_sections")
    #expect(rows.count == 4)
    var hasHole = false
    for row in 0..<rows.count {
      let label = FragmentID(rawValue: UInt64(try rows.int(row, 0))).label
      var inside = [Bool](repeating: false, count: labels.count)
      var doubled = 0
      for (place, ring) in try Outline(rows.text(row, 1)).rings.enumerated() {
        #expect(ring.points[0] == ring.points[ring.points.count - 1] && ring.points.count >= 5, "ring \(place)")
        var area = 0
        for (a, b) in zip(ring.points, ring.points.dropFirst()) {
          #expect((a.x == b.x) != (a.y == b.y), "edges of pixels")
          area += a.x * b.y - b.x * a.y
          guard a.x == b.x else { continue }
          for y in min(a.y, b.y)..<max(a.y, b.y) { for x in a.x..<width { inside[y * width + x].toggle() } }
        }
        #expect((area < 0) == ring.isHole, "shells and holes turn in opposite ways")
        doubled += area
        hasHole = hasHole || ring.isHole
      }
      #expect(inside == labels.map { $0 == label }, "label \(label)")
      #expect(doubled / 2 == Int(try rows.int(row, 2)))
    }
    #expect(hasHole)
  }

  @Test func boxesAreCountedExactly() throws {
    let (height, width) = (60, 300)
    let labels = noise(height: height, width: width, seed: 21)
    let stack = try volume(labels, height: height, width: width)
    var generator = SeededGenerator(seed: 9)
    for _ in 0..<20 {
      let y = Int.random(in: 0..<59, using: &generator)..<Int.random(in: 59...70, using: &generator)
      let x = Int.random(in: 0..<250, using: &generator)..<Int.random(in: 251...310, using: &generator)
      var counts: [UInt32: Int] = [:]
      for row in y where row < height {
        for column in x where column < width { counts[labels[row * width + column], default: 0] += 1 }
      }
      counts[0] = nil
      let found = try stack.database.connection.execute(
        "select segment_id & 8388607, voxels, first_z, last_z from segments_in('cortex', -3, $1, $2, 9, $3, $4)",
        [.int(y.lowerBound), .int(x.lowerBound), .int(y.upperBound), .int(x.upperBound)])
      let expected = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
        ["\($0.key)", "\($0.value)", "0", "0"]
      }
      #expect(try found.table(columns: 4) == expected, "rows \(y), columns \(x)")
    }
  }
}

/// A MULTIPOLYGON as text, taken apart.
struct Outline {
  var rings: [(points: [(x: Int, y: Int)], isHole: Bool)] = []

  init(_ text: String) {
    let body = text.dropFirst("MULTIPOLYGON (((".count).dropLast(")))".count)
    for polygon in String(body).split(separator: ")), ((") {
      for (place, ring) in String(polygon).split(separator: "), (").enumerated() {
        let points = String(ring).split(separator: ", ").map { pair in
          let numbers = pair.split(separator: " ").map { Int($0) ?? Int.min }
          return (x: numbers[0], y: numbers[1])
        }
        rings.append((points, place > 0))
      }
    }
  }
}
