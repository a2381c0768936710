/// A piece of an axis between two samples, relative to the plane of the section: z is 0 there. Nanometres.
struct Segment {
  var ax: Float
  var ay: Float
  var az: Float
  var dx: Float
  var dy: Float
  var dz: Float
  /// 1 / length², 0 for a single point.
  var inverse: Float
  var radius: Float
  var growth: Float
  var neurite: Int32
  var path: Int32
  var sample: Int32

  /// The place on the axis next to (x, y, z), 0...1.
  @inline(__always)
  func nearest(_ x: Float, _ y: Float, _ z: Float) -> Float {
    min(1, max(0, ((x - ax) * dx + (y - ay) * dy + (z - az) * dz) * inverse))
  }

  /// Distance from the axis less the calibre: the least of these owns the place.
  @inline(__always)
  func value(_ x: Float, _ y: Float, _ z: Float) -> Float {
    let t = nearest(x, y, z)
    let (ex, ey, ez) = (x - ax - t * dx, y - ay - t * dy, z - az - t * dz)
    return (ex * ex + ey * ey + ez * ez).squareRoot() - (radius + t * growth)
  }
}

/// The two neurites next to a pixel, as segments of their axes, and the place looked up (pixel plus warp).
struct Cell {
  var x: Float
  var y: Float
  var z: Float
  var first: Int32
  /// -1 if there is one neurite only.
  var second: Int32
  var firstValue: Float
  var secondValue: Float
}

/// The tessellation of one section: an additively weighted Voronoi diagram of axes in space, seen through a smooth warp.
struct CellMap {
  let segments: [Segment]
  private let height: Int
  private let width: Int
  private let pixel: Float
  /// Position of pixel (0, 0), nanometres.
  private let originY: Float
  private let originX: Float
  private let depth: Float
  private let warpKey: UInt64

  /// Pixels along the edge of the squares that share a list of candidates.
  private static let leaf = 8
  /// By how much the warp may stretch a distance.
  private static let stretch: Float = 1.8

  init(
    _ tissue: Tissue, height: Int, width: Int, pixel: Double, origin: (y: Double, x: Double), depth: Double,
    key: UInt64
  ) {
    self.height = height
    self.width = width
    self.pixel = Float(pixel)
    originY = Float(origin.y)
    originX = Float(origin.x)
    self.depth = Float(depth)
    warpKey = key
    var list: [Segment] = []
    for (index, path) in tissue.paths.enumerated() {
      let pressure = path.role == .trunk || path.role == .dendrite ? Anatomy.pressure : 0
      for k in 0..<max(1, path.samples.count - 1) {
        let a = path.samples[k]
        let b = path.samples[min(k + 1, path.samples.count - 1)]
        let reach = max(a.radius, b.radius) + Anatomy.thinInfluence
        guard min(abs(a.point.z - depth), abs(b.point.z - depth)) < reach else { continue }
        let d = b.point - a.point
        let square = d.dot(d)
        list.append(
          Segment(
            ax: Float(a.point.x), ay: Float(a.point.y), az: Float(a.point.z - depth), dx: Float(d.x), dy: Float(d.y),
            dz: Float(d.z), inverse: square > 1e-6 ? Float(1 / square) : 0, radius: Float(a.radius + pressure),
            growth: Float(b.radius - a.radius), neurite: Int32(path.neurite), path: Int32(index), sample: Int32(k)))
      }
    }
    segments = list
  }

  /// Where a pixel is looked up: pixel to nanometres, then the warp that makes walls wavy.
  @inline(__always)
  private func place(_ y: Float, _ x: Float) -> (x: Float, y: Float, z: Float) {
    let px = originX + x * pixel
    let py = originY + y * pixel
    let coarse = ValueNoise.vector(warpKey, px / 330, py / 330, depth / 330)
    let fine = ValueNoise.vector(warpKey ^ 1, px / 95, py / 95, depth / 95)
    return (px + 54 * coarse.0 + 10 * fine.0, py + 54 * coarse.1 + 10 * fine.1, 54 * coarse.2 + 10 * fine.2)
  }

  /// Calls `body` once for every pixel.
  func forEachPixel(_ body: (Int, Int, Cell) -> Void) {
    guard !segments.isEmpty else { return }
    split(0, 0, height, width, Array(segments.indices.map(Int32.init)), body)
  }

  /// Halves a rectangle until it is small, keeping at each step the segments that can still matter.
  private func split(
    _ y0: Int, _ x0: Int, _ y1: Int, _ x1: Int, _ candidates: [Int32], _ body: (Int, Int, Cell) -> Void
  ) {
    let kept = prune(y0, x0, y1, x1, candidates)
    if y1 - y0 <= Self.leaf, x1 - x0 <= Self.leaf {
      let near = kept.map { segments[Int($0)] }
      for y in y0..<y1 {
        for x in x0..<x1 { body(y, x, cell(y, x, kept, near)) }
      }
    } else if y1 - y0 >= x1 - x0 {
      let middle = (y0 + y1) / 2
      split(y0, x0, middle, x1, kept, body)
      split(middle, x0, y1, x1, kept, body)
    } else {
      let middle = (x0 + x1) / 2
      split(y0, x0, y1, middle, kept, body)
      split(y0, middle, y1, x1, kept, body)
    }
  }

  private func prune(_ y0: Int, _ x0: Int, _ y1: Int, _ x1: Int, _ candidates: [Int32]) -> [Int32] {
    let half = 0.5 * pixel * (Float((y1 - y0) * (y1 - y0) + (x1 - x0) * (x1 - x0))).squareRoot()
    let p = place(Float(y0 + y1) / 2, Float(x0 + x1) / 2)
    var values: [Float] = []
    values.reserveCapacity(candidates.count)
    var best = Float.infinity
    var second = Float.infinity
    var owner: Int32 = -1
    for index in candidates {
      let segment = segments[Int(index)]
      let v = segment.value(p.x, p.y, p.z)
      values.append(v)
      if segment.neurite == owner {
        best = min(best, v)
      } else if v < best {
        (second, best, owner) = (best, v, segment.neurite)
      } else {
        second = min(second, v)
      }
    }
    let bound = second + 2 * Self.stretch * half
    var kept: [Int32] = []
    for (index, v) in zip(candidates, values) where v <= bound { kept.append(index) }
    return kept
  }

  private func cell(_ y: Int, _ x: Int, _ candidates: [Int32], _ near: [Segment]) -> Cell {
    let p = place(Float(y) + 0.5, Float(x) + 0.5)
    var cell = Cell(
      x: p.x, y: p.y, z: p.z, first: -1, second: -1, firstValue: .infinity, secondValue: .infinity)
    var owner: Int32 = -1
    for k in near.indices {
      let segment = near[k]
      let v = segment.value(p.x, p.y, p.z)
      guard v < cell.secondValue else { continue }
      let index = candidates[k]
      if segment.neurite == owner {
        if v < cell.firstValue { (cell.firstValue, cell.first) = (v, index) }
      } else if v < cell.firstValue {
        (cell.secondValue, cell.second) = (cell.firstValue, cell.first)
        (cell.firstValue, cell.first, owner) = (v, index, segment.neurite)
      } else {
        (cell.secondValue, cell.second) = (v, index)
      }
    }
    return cell
  }
}
