/// Points with a radius, sorted into cubes, to ask what is near a place.
struct ObstacleGrid {
  struct Obstacle {
    var point: Vector
    var radius: Double
    var id: UInt32
    /// Position in the list the grid was made of.
    var index: Int = 0
  }

  private let low: Vector
  private let inverse: Double
  private let nx: Int
  private let ny: Int
  private let nz: Int
  private var starts: [Int]
  private var items: [Obstacle]

  /// - Parameter cell: edge of the cubes; what is asked for must be within it.
  init(_ obstacles: [Obstacle], cell: Double) {
    inverse = 1 / cell
    var low = Vector(x: 0, y: 0, z: 0)
    var high = low
    if let first = obstacles.first {
      (low, high) = (first.point, first.point)
      for o in obstacles {
        low = Vector(x: min(low.x, o.point.x), y: min(low.y, o.point.y), z: min(low.z, o.point.z))
        high = Vector(x: max(high.x, o.point.x), y: max(high.y, o.point.y), z: max(high.z, o.point.z))
      }
    }
    // Whole cells, so that the order of what is near a place does not depend on how far the list goes.
    low = Vector(
      x: (low.x * inverse).rounded(.down) * cell, y: (low.y * inverse).rounded(.down) * cell,
      z: (low.z * inverse).rounded(.down) * cell)
    self.low = low
    nx = Int((high.x - low.x) * inverse) + 1
    ny = Int((high.y - low.y) * inverse) + 1
    nz = Int((high.z - low.z) * inverse) + 1
    starts = Array(repeating: 0, count: nx * ny * nz + 1)
    items = obstacles
    var cells = [Int]()
    cells.reserveCapacity(obstacles.count)
    for o in obstacles {
      let c = cellIndex(o.point)
      cells.append(c)
      starts[c + 1] += 1
    }
    for c in 0..<(starts.count - 1) { starts[c + 1] += starts[c] }
    var next = starts
    for (k, o) in obstacles.enumerated() {
      items[next[cells[k]]] = Obstacle(point: o.point, radius: o.radius, id: o.id, index: k)
      next[cells[k]] += 1
    }
  }

  private func cellIndex(_ p: Vector) -> Int {
    let d = (p - low) * inverse
    return (Int(d.z) * ny + Int(d.y)) * nx + Int(d.x)
  }

  /// Calls `body` for every obstacle in the 27 cubes around `p`, always in the same order.
  @inline(__always)
  func forEach(near p: Vector, _ body: (Obstacle) -> Void) {
    let d = (p - low) * inverse
    let (x, y, z) = (Int(d.x.rounded(.down)), Int(d.y.rounded(.down)), Int(d.z.rounded(.down)))
    let (x0, x1) = (max(0, x - 1), min(nx - 1, x + 1))
    guard x0 <= x1 else { return }
    for cz in max(0, z - 1)..<max(max(0, z - 1), min(nz, z + 2)) {
      for cy in max(0, y - 1)..<max(max(0, y - 1), min(ny, y + 2)) {
        let row = (cz * ny + cy) * nx
        for k in starts[row + x0]..<starts[row + x1 + 1] { body(items[k]) }
      }
    }
  }
}
