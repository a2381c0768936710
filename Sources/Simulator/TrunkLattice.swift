/// Endless, gently winding trunks, all in about one direction, one at most in each cell of a lattice across it.
///
/// The lattice is wide enough that trunks never touch: what is at a place needs nothing from afar.
struct TrunkLattice {
  struct Trunk {
    var i: Int
    var j: Int
    var key: UInt64
    var radius: Double
    var kind: NeuriteKind
  }

  let direction: Vector
  let across: Vector
  let up: Vector
  private let key: UInt64

  init(seed: UInt64) {
    key = Hash.key(seed, 1)
    var random = RandomStream(key: key)
    let slope = random.uniform(0.35, 0.8)
    let side = random.direction()
    let flat = Vector(x: side.x, y: side.y, z: 0).normalised
    let inPlane = Vector(x: flat.x, y: flat.y, z: 0)
    direction = (inPlane * (1 - slope * slope).squareRoot() + Vector(x: 0, y: 0, z: slope)).normalised
    across = direction.perpendicular(near: Vector(x: 0.3, y: 0.5, z: 0.8))
    up = direction.cross(across)
  }

  func trunk(_ i: Int, _ j: Int) -> Trunk? {
    let trunkKey = Hash.key(key, i, j, 7)
    var random = RandomStream(key: trunkKey)
    guard random.chance(Anatomy.trunkShare) else { return nil }
    let share = random.unit()
    let range = Anatomy.trunkRadius
    // Small ones are more common than large ones.
    let radius = range.lowerBound + (range.upperBound - range.lowerBound) * share * share
    let kind: NeuriteKind = random.chance(Anatomy.myelinatedShare) ? .myelinated : .dendrite
    return Trunk(i: i, j: j, key: trunkKey, radius: radius, kind: kind)
  }

  /// The axis at `t` along the direction.
  func sample(_ trunk: Trunk, at t: Double) -> Sample {
    let spacing = Anatomy.trunkSpacing
    let a = wander(trunk.key, 1, t)
    let b = wander(trunk.key, 2, t)
    let p =
      direction * t + across * ((Double(trunk.i) + 0.5 + a) * spacing) + up * ((Double(trunk.j) + 0.5 + b) * spacing)
    let swell = trunk.kind == .myelinated ? 0.06 : 0.16
    let radius = trunk.radius * (1 - swell + swell * ValueNoise.line(trunk.key ^ 3, t / 1300))
    return Sample(point: p, radius: radius, normal: across)
  }

  /// Place in the cell, in spacings: at most 0.17 from its middle.
  private func wander(_ key: UInt64, _ axis: Int, _ t: Double) -> Double {
    let own = Hash.key(key, axis)
    let place = Hash.unit(own) - 0.5
    return 0.16 * place + 0.07 * ValueNoise.line(own, t / 3100) + 0.02 * ValueNoise.line(own ^ 1, t / 900)
  }

  /// All trunks that may come into `box`, each with the range of steps along it, in a fixed order.
  func trunks(in box: Box) -> [(trunk: Trunk, steps: ClosedRange<Int>)] {
    var low = Vector(x: .infinity, y: .infinity, z: .infinity)
    var high = Vector(x: -.infinity, y: -.infinity, z: -.infinity)
    for corner in 0..<8 {
      let p = Vector(
        x: corner & 1 == 0 ? box.low.x : box.high.x, y: corner & 2 == 0 ? box.low.y : box.high.y,
        z: corner & 4 == 0 ? box.low.z : box.high.z)
      let q = Vector(x: p.dot(across), y: p.dot(up), z: p.dot(direction))
      low = Vector(x: min(low.x, q.x), y: min(low.y, q.y), z: min(low.z, q.z))
      high = Vector(x: max(high.x, q.x), y: max(high.y, q.y), z: max(high.z, q.z))
    }
    let spacing = Anatomy.trunkSpacing
    var found: [(trunk: Trunk, steps: ClosedRange<Int>)] = []
    let steps = Int((low.z / Anatomy.thickStep).rounded(.down))...Int((high.z / Anatomy.thickStep).rounded(.up))
    for i in Int((low.x / spacing).rounded(.down))...Int((high.x / spacing).rounded(.down)) {
      for j in Int((low.y / spacing).rounded(.down))...Int((high.y / spacing).rounded(.down)) {
        if let trunk = trunk(i, j), let inside = clip(trunk, steps, box) { found.append((trunk, inside)) }
      }
    }
    return found
  }

  /// The steps whose samples are in the box (the axis may leave it and come back in between).
  private func clip(_ trunk: Trunk, _ steps: ClosedRange<Int>, _ box: Box) -> ClosedRange<Int>? {
    let margin = box.grown(by: 10)
    func inside(_ k: Int) -> Bool {
      margin.distance(to: sample(trunk, at: Double(k) * Anatomy.thickStep).point) == 0
    }
    guard let first = steps.first(where: inside), let last = steps.last(where: inside) else { return nil }
    return first...last
  }
}
