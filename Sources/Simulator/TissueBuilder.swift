/// Gathers paths into neurites, settles calibres and puts organelles in.
struct TissueBuilder {
  private var tissue = Tissue()
  private var calibres: [Double] = []
  private var indexOfID: [UInt32: Int] = [:]

  mutating func add(_ raw: [RawPath]) {
    for path in raw { add(path) }
  }

  mutating func add(_ raw: RawPath) {
    guard !raw.samples.isEmpty else { return }
    let index: Int
    if let known = indexOfID[raw.id] {
      index = known
    } else {
      index = tissue.neurites.count
      indexOfID[raw.id] = index
      // The key of a branch or spine is not that of its neurite: the id is what they share.
      tissue.neurites.append(Neurite(id: raw.id, kind: raw.kind, key: Hash.mix(UInt64(raw.id))))
    }
    tissue.paths.append(
      Path(neurite: index, key: raw.key, arc: raw.arc, step: raw.step, role: raw.role, samples: raw.samples))
    calibres.append(raw.calibre)
  }

  /// Thin processes that pass close to each other are thin there. With this no axis ever lies within another process, so
  /// every process is one connected piece: each of its points sees its own axis along a straight line.
  mutating func limitCalibres() {
    func isThin(_ role: PathRole) -> Bool { role != .trunk && role != .dendrite }
    var all: [ObstacleGrid.Obstacle] = []
    for path in tissue.paths where isThin(path.role) {
      for s in path.samples {
        all.append(ObstacleGrid.Obstacle(point: s.point, radius: 0, id: UInt32(path.neurite)))
      }
    }
    let grid = ObstacleGrid(all, cell: Anatomy.crowding)
    for k in tissue.paths.indices where isThin(tissue.paths[k].role) {
      let own = UInt32(tissue.paths[k].neurite)
      for i in tissue.paths[k].samples.indices where tissue.paths[k].samples[i].radius > 0 {
        let p = tissue.paths[k].samples[i].point
        var nearest = Anatomy.crowding * Anatomy.crowding
        grid.forEach(near: p) { o in
          let v = p - o.point
          if o.id != own { nearest = min(nearest, v.dot(v)) }
        }
        // Axes are known at samples only: between them they may be a step closer.
        let free = max(0, nearest.squareRoot() - Anatomy.thinStep)
        tissue.paths[k].samples[i].radius = min(tissue.paths[k].samples[i].radius, 0.9 * free)
      }
    }
  }

  consuming func finish() -> Tissue {
    for k in tissue.paths.indices {
      let path = tissue.paths[k]
      let end = path.arc + Double(path.samples.count - 1) * path.step
      tissue.paths[k].mitochondria = Organelles.mitochondria(
        key: path.key, role: path.role, radius: calibres[k], arcs: path.arc...end)
      if path.role == .axon { tissue.paths[k].boutons = Organelles.boutons(key: path.key, arcs: path.arc...end) }
    }
    return tissue
  }
}
