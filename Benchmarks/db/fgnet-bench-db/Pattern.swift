import DB
import Domain

/// The cells of a section: a jittered grid with wavy borders. Sections have one of two patterns, even and odd ones in turn.
struct Pattern {
  /// Pixels between the middles of cells: about the area of a fragment of real sections, 1759 pixels.
  static let pitch = 42
  /// Cells that touch, or that lie on each other: labels, and pixel pairs.
  struct Contact {
    var a: UInt32
    var b: UInt32
    var area: Int
  }

  let width: Int
  let height: Int
  let fragments: [FragmentSummary]
  let tiles: LabelTiles
  /// Cells that touch, a < b.
  let within: [Contact]
  /// The cell that each pixel is nearest to, without borders.
  private let nearest: [UInt32]

  init(columns: Int, parity: Int) {
    let across = Int(Double(columns).squareRoot().rounded(.up))
    width = across * Self.pitch
    height = (columns + across - 1) / across * Self.pitch
    var labels = [UInt32](repeating: 0, count: width * height)
    nearest = Self.draw(&labels, width: width, columns: columns, across: across, parity: parity)
    var tiles = LabelTiles(width: width)
    tiles.append(labels)
    self.tiles = tiles
    fragments = Self.summarise(labels, width: width, columns: columns)
    within = Self.touching(nearest, width: width)
  }

  /// - Parameter labels: takes the label of each pixel, 0 on a border.
  private static func draw(
    _ labels: inout [UInt32], width: Int, columns: Int, across: Int, parity: Int
  ) -> [UInt32] {
    var generator = SeededGenerator(seed: UInt64(parity))
    let middles = (0..<columns).map { column in
      (
        y: Double(column / across * pitch + pitch / 2) + Double.random(in: -9...9, using: &generator),
        x: Double(column % across * pitch + pitch / 2) + Double.random(in: -9...9, using: &generator)
      )
    }
    // Membranes are rough: each row is drawn a little aside, by a walk.
    var aside = 0.0
    var nearest = labels
    for y in 0..<(labels.count / width) {
      aside = min(max(aside + Double.random(in: -1...1, using: &generator), -3), 3)
      for x in 0..<width {
        let (py, px) = (Double(y), Double(x) + aside)
        let (row, place) = (y / pitch, x / pitch)
        var (first, second) = (Double.infinity, Double.infinity)
        var found = 0
        for near in max(0, row - 1)...(row + 1) {
          for side in max(0, place - 1)...min(across - 1, place + 1) where near * across + side < columns {
            let middle = middles[near * across + side]
            let distance = (py - middle.y) * (py - middle.y) + (px - middle.x) * (px - middle.x)
            if distance < first {
              (first, second) = (distance, first)
              found = near * across + side + 1
            } else if distance < second {
              second = distance
            }
          }
        }
        nearest[y * width + x] = UInt32(found)
        if second.squareRoot() - first.squareRoot() > 1.5 { labels[y * width + x] = UInt32(found) }
      }
    }
    return nearest
  }

  private static func summarise(_ labels: [UInt32], width: Int, columns: Int) -> [FragmentSummary] {
    var area = [Int](repeating: 0, count: columns + 1)
    var (sumY, sumX, minY, minX, maxY, maxX) = (area, area, area, area, area, area)
    for (place, label) in labels.enumerated() where label > 0 {
      let (y, x, cell) = (place / width, place % width, Int(label))
      if area[cell] == 0 { (minY[cell], minX[cell]) = (y, x) }
      area[cell] += 1
      sumY[cell] += y
      sumX[cell] += x
      minX[cell] = min(minX[cell], x)
      maxY[cell] = y + 1
      maxX[cell] = max(maxX[cell], x + 1)
    }
    return (1...columns).map { cell in
      precondition(area[cell] > 0, "cell \(cell) has no pixels")
      return FragmentSummary(
        label: UInt32(cell), area: area[cell], minY: Int32(minY[cell]), minX: Int32(minX[cell]),
        maxY: Int32(maxY[cell]),
        maxX: Int32(maxX[cell]), centroidY: Double(sumY[cell]) / Double(area[cell]),
        centroidX: Double(sumX[cell]) / Double(area[cell]))
    }
  }

  private static func touching(_ nearest: [UInt32], width: Int) -> [Contact] {
    var areas: [UInt64: Int] = [:]
    for place in 0..<(nearest.count - width) {
      let here = nearest[place]
      for there in [nearest[place + 1], nearest[place + width]] where there != here {
        areas[UInt64(min(here, there)) << 32 | UInt64(max(here, there)), default: 0] += 1
      }
    }
    return contacts(areas)
  }

  /// For each cell: the same cell of the pattern below, and of the others there the one that lies under most of it. Some more,
  /// those with the largest areas, make it five contacts for each cell with those within the section.
  func above(_ below: Pattern) -> [Contact] {
    var areas: [UInt64: Int] = [:]
    for place in stride(from: 0, to: nearest.count, by: 3) where below.nearest[place] != nearest[place] {
      areas[UInt64(nearest[place]) << 32 | UInt64(below.nearest[place]), default: 0] += 3
    }
    var best = [Contact?](repeating: nil, count: fragments.count)
    var others: [Contact] = []
    for (upper, lower, area) in Self.contacts(areas).map({ (Int($0.a) - 1, $0.b, $0.area) }) {
      let contact = Contact(a: lower, b: UInt32(upper) + 1, area: area)
      guard let known = best[upper] else {
        best[upper] = contact
        continue
      }
      others.append(known.area < area ? known : contact)
      if known.area < area { best[upper] = contact }
    }
    let own = fragments.map { Contact(a: $0.label, b: $0.label, area: $0.area / 2) }
    let first = own + best.compactMap { $0 }
    others.sort { ($1.area, $0.b, $0.a) < ($0.area, $1.b, $1.a) }
    let missing = max(0, 5 * fragments.count - within.count - first.count)
    return (first + others.prefix(missing)).sorted { ($0.b, $0.a) < ($1.b, $1.a) }
  }

  private static func contacts(_ areas: [UInt64: Int]) -> [Contact] {
    areas.keys.sorted().map {
      Contact(a: UInt32($0 >> 32), b: UInt32(truncatingIfNeeded: $0), area: areas[$0] ?? 0)
    }
  }
}
