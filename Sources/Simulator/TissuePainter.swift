/// Gives a pixel its grey from what is there: cytoplasm, organelles, synapse, myelin, membrane.
///
/// Greys are 0...255 before the microscope. Distances are nanometres.
struct TissuePainter {
  private let tissue: Tissue
  private let segments: [Segment]
  private let depth: Float
  private let thickness: Float
  private let key: UInt64
  /// Normals of all samples, path after path, and where each path begins.
  private let normals: [(Float, Float, Float)]
  private let firstNormal: [Int]

  /// A place in the frame of an axis: arc length along it, and two distances across.
  private struct Local {
    var arc: Float
    var a: Float
    var b: Float
    var distance: Float
    /// Unit vector away from the axis.
    var nx: Float
    var ny: Float
    var nz: Float
  }

  /// The wall to the next neurite.
  private struct Wall {
    var distance: Float
    /// How far the wall wanders in the plane through half the thickness of the section.
    var slant: Float
  }

  init(_ tissue: Tissue, segments: [Segment], depth: Double, thickness: Double, key: UInt64) {
    self.tissue = tissue
    self.segments = segments
    self.depth = Float(depth)
    self.thickness = Float(thickness)
    self.key = key
    var normals: [(Float, Float, Float)] = []
    var first: [Int] = []
    for path in tissue.paths {
      first.append(normals.count)
      for s in path.samples { normals.append((Float(s.normal.x), Float(s.normal.y), Float(s.normal.z))) }
    }
    self.normals = normals
    firstNormal = first
  }

  /// Grey and label of a pixel.
  func paint(_ cell: Cell) -> (grey: Float, label: UInt32) {
    let segment = segments[Int(cell.first)]
    let neurite = tissue.neurites[Int(segment.neurite)]
    let path = tissue.paths[Int(segment.path)]
    let here = local(segment, path, cell)
    let z = depth + cell.z
    var wall = Wall(distance: 1e6, slant: 0)
    var beyond: (path: Path, local: Local)?
    if cell.second >= 0 {
      let other = segments[Int(cell.second)]
      let otherPath = tissue.paths[Int(other.path)]
      let there = local(other, otherPath, cell)
      wall = between(here, there, cell.secondValue - cell.firstValue)
      beyond = (otherPath, there)
    }

    var grey = cytoplasm(neurite, cell.x, cell.y, z)
    var inside = wall.distance
    if neurite.sheath > 0 {
      // Wrapped round the axis, not along the wall, but never thinner than half.
      let round = -cell.firstValue + Float(Anatomy.pressure) - 0.5 * neurite.sheath
      inside = min(inside - 0.5 * neurite.sheath, round)
    }
    if inside > 12 {
      grey = organelles(grey, neurite, path, here, cell, inside)
    }
    if neurite.sheath > 0, inside < 8 {
      grey = myelin(grey, neurite, inside, cell)
    }
    if let beyond, wall.distance < 60, neurite.sheath == 0 {
      grey = synapse(grey, path, here, beyond.path, beyond.local, wall.distance, cell, z)
    }
    let dark = membrane(wall, halfWidth: 15)
    grey += (48 - grey) * 0.92 * dark

    // The core of a process is labelled however thin it is, so that its label does not fall apart.
    let isCore = here.distance < 22
    let outside = (wall.distance < 4.8 + 0.34 * wall.slant && !isCore) || inside < 0
    return (grey, outside ? 0 : neurite.id)
  }

  // MARK: Geometry

  private func local(_ segment: Segment, _ path: Path, _ cell: Cell) -> Local {
    let t = segment.nearest(cell.x, cell.y, cell.z)
    let ex = cell.x - segment.ax - t * segment.dx
    let ey = cell.y - segment.ay - t * segment.dy
    let ez = cell.z - segment.az - t * segment.dz
    let k = firstNormal[Int(segment.path)] + Int(segment.sample)
    let last = min(k + 1, firstNormal[Int(segment.path)] + path.samples.count - 1)
    let (n0, n1) = (normals[k], normals[last])
    let n = (n0.0 + t * (n1.0 - n0.0), n0.1 + t * (n1.1 - n0.1), n0.2 + t * (n1.2 - n0.2))
    let scale = segment.inverse.squareRoot()
    let (ux, uy, uz) = (segment.dx * scale, segment.dy * scale, segment.dz * scale)
    let b = (uy * n.2 - uz * n.1, uz * n.0 - ux * n.2, ux * n.1 - uy * n.0)
    let distance = (ex * ex + ey * ey + ez * ez).squareRoot()
    let over = 1 / max(1e-3, distance)
    return Local(
      arc: Float(path.arc) + (Float(segment.sample) + t) * Float(path.step), a: ex * n.0 + ey * n.1 + ez * n.2,
      b: ex * b.0 + ey * b.1 + ez * b.2, distance: distance, nx: ex * over, ny: ey * over, nz: ez * over)
  }

  /// The wall lies where the two values are equal; their difference grows by |n1 - n2| per nanometre.
  private func between(_ here: Local, _ there: Local, _ difference: Float) -> Wall {
    let (gx, gy, gz) = (there.nx - here.nx, there.ny - here.ny, there.nz - here.nz)
    let slope = max(0.35, (gx * gx + gy * gy + gz * gz).squareRoot())
    return Wall(distance: difference / slope, slant: min(1, abs(gz) / slope) * thickness * 0.5)
  }

  /// How much membrane the electrons meet, 0...1: its profile averaged through the section along the slanted wall.
  private func membrane(_ wall: Wall, halfWidth w: Float) -> Float {
    if wall.distance > w + wall.slant { return 0 }
    func primitive(_ d: Float) -> Float {
      let u = min(1, max(-1, d / w))
      let square = u * u
      return w * u * (1 - square * (2.0 / 3.0) + square * square * 0.2)
    }
    let h = max(1, wall.slant)
    return (primitive(wall.distance + h) - primitive(wall.distance - h)) / (2 * h)
  }

  @inline(__always)
  private func ramp(_ x: Float, _ low: Float, _ high: Float) -> Float {
    let t = min(1, max(0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)
  }

  // MARK: Contents

  private func cytoplasm(_ neurite: Neurite, _ x: Float, _ y: Float, _ z: Float) -> Float {
    let fine = ValueNoise.value(key ^ 2, x / 22, y / 22, z / 40)
    let middle = ValueNoise.value(key ^ 3, x / 55, y / 55, z / 70)
    let coarse = ValueNoise.value(key ^ 4, x / 240, y / 240, z / 240)
    return neurite.grey + neurite.grain * (0.75 * fine + 0.65 * middle + 0.45 * coarse)
  }

  private func organelles(
    _ base: Float, _ neurite: Neurite, _ path: Path, _ here: Local, _ cell: Cell, _ inside: Float
  ) -> Float {
    var grey = base
    let z = depth + cell.z
    var room: Float = .infinity
    for mitochondrion in path.mitochondria {
      let depthInside = mitochondrion.depth(here.arc, here.a, here.b)
      let d = min(depthInside, inside - 24)
      room = min(room, -depthInside)
      if d > -9 { return paintMitochondrion(grey, mitochondrion, d, here, cell) }
    }
    grey = reticulum(grey, neurite, path, here, inside, room)
    grey = microtubules(grey, neurite, path, here, inside, room)
    for bouton in path.boutons where abs(here.arc - bouton.arc) < bouton.half {
      grey = vesicles(grey, bouton, here, cell, z, inside, room)
    }
    return grey
  }

  private func paintMitochondrion(
    _ base: Float, _ mitochondrion: Mitochondrion, _ d: Float, _ here: Local, _ cell: Cell
  ) -> Float {
    let z = depth + cell.z
    let wobble = ValueNoise.value(mitochondrion.key, cell.x / 60, cell.y / 60, z / 60)
    // Cristae: sheets across the long axis, bent.
    let lean = Float(mitochondrion.key & 0xFF) / 128 - 1
    let fine = ValueNoise.value(mitochondrion.key ^ 1, cell.x / 26, cell.y / 26, z / 40)
    let phase = here.arc / 33 + 1.5 * wobble + 0.4 * fine + lean * (here.a + 0.6 * here.b) / 33
    let sheet = abs(phase - phase.rounded(.down) - 0.5) * 2
    let matrix = 88 + 10 * wobble + 9 * fine - 26 * ramp(sheet, 0.3, 1) * ramp(d, 8, 20)
    let wallGrey: Float = 52
    let matrixShare = ramp(d, 4, 13)
    let grey = wallGrey + (matrix - wallGrey) * matrixShare
    return base + (grey - base) * ramp(d, -9, 0)
  }

  /// Tubes with a dark wall, drawn out along the axis: where a noise field is high.
  private func reticulum(
    _ base: Float, _ neurite: Neurite, _ path: Path, _ here: Local, _ inside: Float, _ room: Float
  ) -> Float {
    guard inside > 22, room > 20, neurite.kind != .glia else { return base }
    let n = ValueNoise.value(path.key ^ 7, here.arc / 260, here.a / 85, here.b / 85)
    let threshold: Float = path.role == .axon ? 0.62 : 0.56
    let d = (n - threshold) * 150
    guard d > -9 else { return base }
    // Most are grey inside, a few clear.
    let lumen: Float = ValueNoise.value(path.key ^ 8, here.arc / 500, here.a / 200, here.b / 200) > 0.3 ? 186 : 104
    let dark = 56 + (lumen - 56) * ramp(d, 5, 14)
    return base + (dark - base) * ramp(d, -9, -1) * ramp(inside, 22, 32) * ramp(room, 20, 30)
  }

  private func microtubules(
    _ base: Float, _ neurite: Neurite, _ path: Path, _ here: Local, _ inside: Float, _ room: Float
  ) -> Float {
    guard inside > 25, room > 12, path.role != .spine, neurite.kind != .glia else { return base }
    let pitch: Float = 78
    let (u, v) = (here.a / pitch, here.b / pitch)
    let (iu, iv) = (u.rounded(.down), v.rounded(.down))
    let h = Hash.lattice(path.key ^ 9, Int(iu), Int(iv), 0)
    guard h & 0xFF < (path.role == .axon ? 110 : 90) else { return base }
    let cu = 0.3 + 0.4 * Float(h >> 8 & 0xFF) / 255
    let cv = 0.3 + 0.4 * Float(h >> 16 & 0xFF) / 255
    let sway = 0.12 * Float(ValueNoise.line(h, Double(here.arc) / 300))
    let (du, dv) = ((u - iu - cu - sway) * pitch, (v - iv - cv - sway) * pitch)
    let d = (du * du + dv * dv).squareRoot()
    return base - 70 * (1 - ramp(d, 5, 17)) * ramp(inside, 25, 32)
  }

  /// Vesicles: each alone in its cube of a jittered lattice.
  private func vesicles(
    _ base: Float, _ bouton: Bouton, _ here: Local, _ cell: Cell, _ z: Float, _ inside: Float, _ room: Float
  ) -> Float {
    guard inside > 18, room > 16 else { return base }
    let pitch: Float = 47
    let shear = 0.31 * cell.y + 0.17 * z
    let (u, v, w) = ((cell.x + shear) / pitch, (cell.y - 0.23 * z) / pitch, z / pitch)
    let (iu, iv, iw) = (u.rounded(.down), v.rounded(.down), w.rounded(.down))
    let h = Hash.lattice(bouton.key, Int(iu), Int(iv), Int(iw))
    let along = (here.arc - bouton.arc) / bouton.half
    let toward = (here.a * bouton.cosine + here.b * bouton.sine) / 150
    let filling = 0.85 - 0.5 * along * along + 0.25 * min(1, max(-1, toward))
    guard Float(h & 0xFFFF) / 65_535 < filling else { return base }
    func centre(_ shift: UInt64) -> Float { 0.36 + 0.28 * Float(h >> shift & 0xFF) / 255 }
    let (du, dv, dw) = ((u - iu - centre(16)) * pitch, (v - iv - centre(24)) * pitch, (w - iw - centre(32)) * pitch)
    let dx = du - 0.31 * dv
    let d = (dx * dx + dv * dv + 0.6 * dw * dw).squareRoot()
    let radius = 15 + 3 * Float(h >> 40 & 0xFF) / 255
    let ring = 1 - ramp(abs(d - radius), 2, 9.5)
    let core = 1 - ramp(d, radius - 8, radius - 2)
    return base - 52 * ring * ramp(inside, 18, 26) + 14 * core
  }

  /// The thickened membranes of a synapse: the bouton's side a little, the other side much.
  private func synapse(
    _ base: Float, _ path: Path, _ here: Local, _ other: Path, _ there: Local, _ distance: Float, _ cell: Cell,
    _ z: Float
  ) -> Float {
    func contact(_ path: Path, _ place: Local) -> Float {
      var best: Float = 0
      for bouton in path.boutons {
        let along = abs(place.arc - bouton.arc)
        guard along < 190 else { continue }
        let across = max(1, (place.a * place.a + place.b * place.b).squareRoot())
        let toward = (place.a * bouton.cosine + place.b * bouton.sine) / across
        best = max(best, ramp(toward, 0.62, 0.78) * (1 - ramp(along, 120, 190)))
      }
      return best
    }
    let post = contact(other, there)
    let pre = contact(path, here)
    guard post > 0 || pre > 0 else { return base }
    let patch = 0.75 + 0.25 * ValueNoise.value(key ^ 6, cell.x / 30, cell.y / 30, z / 30)
    let dark = max(post * (1 - ramp(distance, 26, 46)), 0.7 * pre * (1 - ramp(distance, 12, 26))) * patch
    return base + (38 - base) * dark
  }

  /// Wrapped membranes, too fine to resolve: dark with traces of lines along the wall, and a few splits.
  private func myelin(_ base: Float, _ neurite: Neurite, _ inside: Float, _ cell: Cell) -> Float {
    let z = depth + cell.z
    let place = inside + 4 * ValueNoise.value(key ^ 8, cell.x / 120, cell.y / 120, z / 120)
    let phase = place / 15
    let line = abs(phase - phase.rounded(.down) - 0.5) * 2
    let split = ramp(ValueNoise.value(neurite.key ^ 8, cell.x / 110, cell.y / 110, z / 150), 0.35, 0.6)
    let dark = 20 + 16 * line + 60 * split * ramp(line, 0.3, 0.7)
    return base + (dark - base) * (1 - ramp(inside, -4, 8))
  }
}

extension Mitochondrion {
  /// Distance into it from its surface, in the frame of the axis; negative outside.
  func depth(_ arc: Float, _ a: Float, _ b: Float) -> Float {
    let along = max(0, abs(arc - self.arc) - half)
    let (u, v) = (a - self.a, b - self.b)
    return radius - (along * along + u * u + v * v).squareRoot()
  }
}
