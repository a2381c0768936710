import Domain

/// The neurites of a volume, found for one section at a time.
///
/// Three generations, each walking round the ones before: trunks (endless, on a lattice), dendrites, and everything thin.
/// Every neurite is a function of the seed and of the block it is born in, and reaches a bounded distance, so a
/// section needs only the blocks around it.
struct NeuriteField {
  private let seed: UInt64
  private let density: Double
  private let field: Box
  private let trunks: TrunkLattice
  private let numbering: Numbering

  init(_ options: SimulationOptions) throws(SimulationError) {
    seed = options.seed
    density = options.density
    let high = Vector(
      x: Double(options.width) * options.pixelNanometres, y: Double(options.height) * options.pixelNanometres, z: 0)
    field = Box(low: Vector(x: 0, y: 0, z: 0), high: high)
    trunks = TrunkLattice(seed: options.seed)
    numbering = try Numbering(options)
  }

  /// Everything that can be seen in the section at `depth` nanometres.
  func tissue(at depth: Double) -> Tissue {
    var section = field
    section.low.z = depth
    section.high.z = depth
    var builder = TissueBuilder()

    let thinBox = section.grown(by: Anatomy.thinInfluence + Anatomy.crowding + 40)
    let thickBox = thinBox.grown(by: Anatomy.thinReach + 800)
    let rawBox = thickBox.grown(by: Anatomy.dendriteReach + 800)

    let trunkPaths = allTrunks(in: rawBox.grown(by: 1300))
    let trunkGrid = ObstacleGrid(trunkPaths.flatMap(obstacles), cell: 1300)
    let dendritePaths = dendrites(reaching: thickBox, raw: rawBox, around: trunkGrid)

    let seen = section.grown(by: Anatomy.thickInfluence + Anatomy.spineReach)
    let thick = trunkPaths + dendritePaths
    let thickGrid = ObstacleGrid(
      thick.flatMap(obstacles).filter { thickBox.grown(by: 800).distance(to: $0.point) == 0 }, cell: 900)
    for path in thick {
      for part in path.parts(in: seen) {
        builder.add(part)
        builder.add(spines(of: part, within: thinBox, around: thickGrid))
      }
    }
    for path in thinProcesses(in: thinBox, around: thickGrid) { builder.add(path.parts(in: thinBox)) }
    builder.limitCalibres()
    return builder.finish()
  }

  private func obstacles(of path: RawPath) -> [ObstacleGrid.Obstacle] {
    path.samples.map { ObstacleGrid.Obstacle(point: $0.point, radius: $0.radius, id: path.id) }
  }

  // MARK: Trunks

  private func allTrunks(in box: Box) -> [RawPath] {
    trunks.trunks(in: box).map { trunk, steps in
      RawPath(
        id: numbering.trunk(trunk.i, trunk.j), kind: trunk.kind, key: trunk.key, role: .trunk,
        arc: Double(steps.lowerBound) * Anatomy.thickStep, step: Anatomy.thickStep, calibre: trunk.radius,
        samples: steps.map { trunks.sample(trunk, at: Double($0) * Anatomy.thickStep) })
    }
  }

  // MARK: Dendrites

  /// Walks that stop where a walk of higher priority has passed. Priority is compared between walks as they were before
  /// stopping, so that one need not know who stopped whom further away.
  private func dendrites(reaching box: Box, raw rawBox: Box, around trunks: ObstacleGrid) -> [RawPath] {
    var raw: [RawPath] = []
    forEachBlock(in: rawBox.grown(by: Anatomy.dendriteReach)) { x, y, z in
      let key = Hash.key(Hash.key(seed, 2), x, y, z)
      var random = RandomStream(key: key)
      let rate = Anatomy.dendriteDensity / (2 * Anatomy.dendriteReach / 1000)
      guard random.chance(rate) else { return }
      let start = place(in: (x, y, z), &random)
      let share = random.unit()
      let range = Anatomy.dendriteRadius
      let radius = range.lowerBound + (range.upperBound - range.lowerBound) * share * share
      let id = numbering.thin(x, y, z, 0)
      let walk = Walk(step: Anatomy.thickStep, wander: 0.035, margin: radius * 1.05 + 20, own: id)
      guard walk.isFree(start, trunks) else { return }
      let count = Int(Anatomy.dendriteReach / Anatomy.thickStep)
      let both = bothWays(
        walk, from: start, radius: radius, heading: random.direction(), counts: (count, count), key: key, box: rawBox,
        obstacles: trunks)
      raw.append(
        RawPath(
          id: id, kind: .dendrite, key: key, role: .dendrite, arc: both.arc, step: walk.step, calibre: radius,
          samples: both.samples))
    }
    let grid = ObstacleGrid(
      raw.enumerated().flatMap { index, path in
        path.samples.map { ObstacleGrid.Obstacle(point: $0.point, radius: $0.radius, id: UInt32(index)) }
      }, cell: 800)
    return raw.indices.compactMap { index in
      var path = raw[index]
      guard path.samples.contains(where: { box.distance(to: $0.point) == 0 }) else { return nil }
      let priority = path.key
      path.cut { sample in
        var blocked = false
        grid.forEach(near: sample.point) { o in
          let other = Int(o.id)
          guard other != index, (raw[other].key, other) < (priority, index) else { return }
          let needed = o.radius + sample.radius + 50
          let v = sample.point - o.point
          if v.dot(v) < needed * needed { blocked = true }
        }
        return blocked
      }
      path.modulate()
      return path.samples.isEmpty ? nil : path
    }
  }

  // MARK: Thin processes

  private func thinProcesses(in box: Box, around obstacles: ObstacleGrid) -> [RawPath] {
    var paths: [RawPath] = []
    let births = Anatomy.thinBirths * density
    forEachBlock(in: box.grown(by: Anatomy.thinReach)) { x, y, z in
      let blockKey = Hash.key(Hash.key(seed, 3), x, y, z)
      var random = RandomStream(key: blockKey)
      var count = Int(births)
      if random.chance(births - Double(count)) { count += 1 }
      for k in 0..<min(count, Anatomy.perBlock - 1) {
        let key = Hash.key(blockKey, k)
        let start = place(in: (x, y, z), &random)
        if box.distance(to: start) > Anatomy.thinReach { continue }
        // Thin axons crowd in some places and leave others to thicker ones.
        let crowd = ValueNoise.value(
          Hash.key(seed, 10), Float(start.x / 1700), Float(start.y / 1700), Float(start.z / 1700))
        guard Hash.unit(Hash.mix(key)) < Double(0.55 + 0.85 * crowd) else { continue }
        grow(from: start, id: numbering.thin(x, y, z, k + 1), key: key, box: box, obstacles: obstacles, into: &paths)
      }
    }
    return paths
  }

  private func grow(
    from start: Vector, id: UInt32, key: UInt64, box: Box, obstacles: ObstacleGrid, into paths: inout [RawPath]
  ) {
    var random = RandomStream(key: key)
    let kind: (role: PathRole, neurite: NeuriteKind)
    switch random.unit() {
    case ..<0.80: kind = (.axon, .axon)
    case ..<0.91: kind = (.twig, .dendrite)
    default: kind = (.glia, .glia)
    }
    let glia = kind.role == .glia
    let walk = Walk(
      step: Anatomy.thinStep, wander: glia ? 0.12 : 0.07, margin: glia ? 60 : Anatomy.thinMargin, own: id)
    guard walk.isFree(start, obstacles) else { return }
    let most = Int(Anatomy.thinReach / Anatomy.thinStep)
    let counts = (
      Int(Double(most) * random.uniform(glia ? 0.15 : 0.5, glia ? 0.35 : 1)),
      Int(Double(most) * random.uniform(glia ? 0.15 : 0.5, glia ? 0.35 : 1))
    )
    // Neighbours run in bundles, to a degree.
    let bundle = ValueNoise.vector(
      Hash.key(seed, 4), Float(start.x / 3000), Float(start.y / 3000), Float(start.z / 3000))
    let heading =
      random.direction() + Vector(x: Double(bundle.0), y: Double(bundle.1), z: Double(bundle.2)) * (glia ? 0 : 1.2)
    // Branches of glia go on where the process itself ends.
    let both = bothWays(
      walk, from: start, radius: 0, heading: heading, counts: counts, key: key, box: box.grown(by: glia ? 1700 : 0),
      obstacles: obstacles)
    var main = RawPath(
      id: id, kind: kind.neurite, key: key, role: kind.role, arc: both.arc, step: walk.step, samples: both.samples)
    main.modulate()
    paths.append(main)
    branch(main, walk: walk, counts: counts, box: box, obstacles: obstacles, into: &paths)
  }

  /// Side branches at places along the arc that do not depend on how much of the path was walked.
  private func branch(
    _ main: RawPath, walk: Walk, counts: (Int, Int), box: Box, obstacles: ObstacleGrid, into paths: inout [RawPath]
  ) {
    let glia = main.role == .glia
    let every = glia ? 5 : 40
    let first = Int(main.arc / main.step)
    for (offset, sample) in main.samples.enumerated() {
      let k = first + offset
      guard k % every == 0, k != 0 else { continue }
      var random = RandomStream(key: Hash.key(main.key, k, 11))
      guard random.chance(glia ? 0.9 : 0.35) else { continue }
      let left = k > 0 ? counts.1 - k : counts.0 + k
      let wanted = Int(random.uniform(glia ? 10 : 15, glia ? 26 : 60))
      let count = glia ? wanted : min(left, wanted)
      guard count > 3 else { continue }
      let tangent = main.tangent(offset)
      let side = tangent.perpendicular(near: random.direction())
      let heading = glia ? random.direction() : side + tangent * (k > 0 ? 0.7 : -0.7)
      let key = Hash.key(main.key, k, 12)
      let samples = walk.points(
        from: Sample(point: sample.point, radius: 0, normal: sample.normal), towards: heading, count: count, key: key,
        within: box, around: obstacles)
      var path = RawPath(
        id: main.id, kind: main.kind, key: key, role: main.role, arc: 0, step: walk.step,
        samples: [Sample(point: sample.point, radius: 0, normal: sample.normal)] + samples)
      path.modulate()
      paths.append(path)
    }
  }

  private func spines(of path: RawPath, within box: Box, around obstacles: ObstacleGrid) -> [RawPath] {
    guard path.kind == .dendrite else { return [] }
    let first = Int((path.arc / path.step).rounded())
    var spines: [RawPath] = []
    for (offset, sample) in path.samples.enumerated() where (first + offset) % 6 == 0 {
      let key = Hash.key(path.key, first + offset, 13)
      var random = RandomStream(key: key)
      guard random.chance(0.55) else { continue }
      let side = path.tangent(offset).perpendicular(near: random.direction())
      let walk = Walk(step: Anatomy.thinStep, wander: 0.09, margin: Anatomy.thinMargin, own: path.id)
      let count = Int((sample.radius + random.uniform(250, 900)) / walk.step)
      guard Double(count) * walk.step < Anatomy.spineReach else { continue }
      let start = Sample(point: sample.point, radius: 0, normal: sample.normal)
      var spine = RawPath(
        id: path.id, kind: .dendrite, key: key, role: .spine, arc: 0, step: walk.step,
        samples: [start]
          + walk.points(
            from: start, towards: side, count: count, key: key, within: box, around: obstacles))
      spine.swellHead(count: count, radius: random.uniform(50, 130))
      spines.append(spine)
    }
    return spines
  }

  // MARK: Births

  private func place(in block: (x: Int, y: Int, z: Int), _ random: inout RandomStream) -> Vector {
    Vector(
      x: (Double(block.x) + random.unit()) * Anatomy.block, y: (Double(block.y) + random.unit()) * Anatomy.block,
      z: (Double(block.z) + random.unit()) * Anatomy.block)
  }

  private func forEachBlock(in box: Box, _ body: (Int, Int, Int) -> Void) {
    func range(_ low: Double, _ high: Double) -> ClosedRange<Int> {
      Int((low / Anatomy.block).rounded(.down))...Int((high / Anatomy.block).rounded(.down))
    }
    for z in range(box.low.z, box.high.z) {
      for y in range(box.low.y, box.high.y) {
        for x in range(box.low.x, box.high.x) { body(x, y, z) }
      }
    }
  }

  private func bothWays(
    _ walk: Walk, from start: Vector, radius: Double, heading: Vector, counts: (Int, Int), key: UInt64, box: Box,
    obstacles: ObstacleGrid
  ) -> (arc: Double, samples: [Sample]) {
    let middle = Sample(
      point: start, radius: radius, normal: heading.perpendicular(near: Vector(x: 0.2, y: 0.9, z: 0.4)))
    let back = walk.points(
      from: middle, towards: heading * -1, count: counts.0, key: Hash.key(key, 21), within: box, around: obstacles)
    let forth = walk.points(
      from: middle, towards: heading, count: counts.1, key: Hash.key(key, 22), within: box, around: obstacles)
    return (-Double(back.count) * walk.step, back.reversed() + [middle] + forth)
  }
}
