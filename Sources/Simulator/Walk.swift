/// A persistent random walk that goes round obstacles and never enters one.
struct Walk {
  var step: Double
  /// How fast the direction wanders, per step.
  var wander: Double
  /// Distance kept from surfaces.
  var margin: Double
  /// The neurite that walks; its own surface is no obstacle.
  var own: UInt32

  /// Points after `start`, until `count` steps are done, the walk is stuck, or `box` is out of reach of what is left.
  ///
  /// Nothing outside of the reach of `box` has a say, so any part of the walk that comes into `box` is the same whatever box.
  func points(
    from start: Sample, towards heading: Vector, count: Int, key: UInt64, within box: Box,
    around obstacles: ObstacleGrid
  ) -> [Sample] {
    var random = RandomStream(key: Hash.mix(key))
    var samples: [Sample] = []
    var p = start.point
    var direction = heading.normalised
    var normal = start.normal
    var bend = Vector(x: 0, y: 0, z: 0)
    for k in 0..<max(0, count) {
      if box.distance(to: p) > Double(count - k) * step { break }
      bend = bend * 0.9 + Vector(x: random.normal(), y: random.normal(), z: random.normal()) * (wander * 0.3)
      direction = (direction + bend).normalised
      guard let next = advance(p, &direction, obstacles) else { break }
      p = next
      normal = direction.perpendicular(near: normal)
      samples.append(Sample(point: p, radius: start.radius, normal: normal))
    }
    return samples
  }

  /// One step along `direction`, turned away from what is near; nil if there is no way.
  private func advance(_ p: Vector, _ direction: inout Vector, _ obstacles: ObstacleGrid) -> Vector? {
    var next = p + direction * step
    for attempt in 0..<3 {
      var away = Vector(x: 0, y: 0, z: 0)
      var corrected = next
      var deepest = 0.0
      obstacles.forEach(near: next) { o in
        guard o.id != own else { return }
        let needed = o.radius + margin
        let v = next - o.point
        let square = v.dot(v)
        if square >= (needed + 100) * (needed + 100) { return }
        let d = square.squareRoot()
        guard d > 1e-6 else {
          deepest = .infinity
          return
        }
        away = away + v * (0.12 / d)
        if needed - d > deepest {
          deepest = needed - d
          corrected = o.point + v * ((needed + 0.5) / d)
        }
      }
      if attempt == 0, deepest <= 0 {
        if away.length > 0 { direction = (direction + away.normalised * 0.08).normalised }
        return next
      }
      if deepest <= 0 {
        let moved = next - p
        let length = moved.length
        guard length > 0.2 * step, length < 1.5 * step else { return nil }
        direction = moved * (1 / length)
        return next
      }
      if deepest == .infinity { return nil }
      next = corrected
    }
    return nil
  }

  /// Whether a process can be born here.
  func isFree(_ p: Vector, _ obstacles: ObstacleGrid) -> Bool {
    var free = true
    obstacles.forEach(near: p) { o in
      let v = p - o.point
      let needed = o.radius + margin
      if o.id != own, v.dot(v) < needed * needed { free = false }
    }
    return free
  }
}
