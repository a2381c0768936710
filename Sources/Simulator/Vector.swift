/// A place or direction in the tissue, nanometres.
struct Vector {
  var x: Double
  var y: Double
  var z: Double

  static func + (a: Vector, b: Vector) -> Vector { Vector(x: a.x + b.x, y: a.y + b.y, z: a.z + b.z) }
  static func - (a: Vector, b: Vector) -> Vector { Vector(x: a.x - b.x, y: a.y - b.y, z: a.z - b.z) }
  static func * (a: Vector, k: Double) -> Vector { Vector(x: a.x * k, y: a.y * k, z: a.z * k) }
  func dot(_ b: Vector) -> Double { x * b.x + y * b.y + z * b.z }
  func cross(_ b: Vector) -> Vector {
    Vector(x: y * b.z - z * b.y, y: z * b.x - x * b.z, z: x * b.y - y * b.x)
  }
  var length: Double { dot(self).squareRoot() }
  /// Unit length; +z for the null vector.
  var normalised: Vector {
    let l = length
    return l > 1e-9 ? self * (1 / l) : Vector(x: 0, y: 0, z: 1)
  }
  /// A unit vector perpendicular to this one: the part of `hint` across it, or any if there is none.
  func perpendicular(near hint: Vector) -> Vector {
    let t = normalised
    let across = hint - t * hint.dot(t)
    if across.length > 1e-3 { return across.normalised }
    let other = abs(t.x) < 0.7 ? Vector(x: 1, y: 0, z: 0) : Vector(x: 0, y: 1, z: 0)
    return (other - t * other.dot(t)).normalised
  }
}

/// An axis-parallel box, nanometres.
struct Box {
  var low: Vector
  var high: Vector

  func grown(by margin: Double) -> Box {
    let m = Vector(x: margin, y: margin, z: margin)
    return Box(low: low - m, high: high + m)
  }
  func distance(to p: Vector) -> Double {
    let dx = max(low.x - p.x, 0, p.x - high.x)
    let dy = max(low.y - p.y, 0, p.y - high.y)
    let dz = max(low.z - p.z, 0, p.z - high.z)
    return (dx * dx + dy * dy + dz * dz).squareRoot()
  }
}
