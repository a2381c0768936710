/// Organelles along a path, drawn slot by slot of its arc: known wherever the path is looked at.
enum Organelles {
  private static let boutonSlot = 2000.0

  static func boutons(key: UInt64, around arc: Double) -> [Bouton] {
    let slot = Int((arc / boutonSlot).rounded(.down))
    return (slot - 1...slot + 1).compactMap { bouton(key: key, slot: $0) }
  }

  static func boutons(key: UInt64, arcs: ClosedRange<Double>) -> [Bouton] {
    slots(arcs, boutonSlot).compactMap { bouton(key: key, slot: $0) }
  }

  private static func bouton(key: UInt64, slot: Int) -> Bouton? {
    var random = RandomStream(key: Hash.key(key, slot, 31))
    guard random.chance(0.5) else { return nil }
    let arc = (Double(slot) + random.uniform(0.2, 0.8)) * boutonSlot
    let half = random.uniform(220, 420)
    let u = random.normal()
    let v = random.normal()
    let length = max(1e-6, (u * u + v * v).squareRoot())
    return Bouton(
      arc: Float(arc), half: Float(half), cosine: Float(u / length), sine: Float(v / length), key: random.next())
  }

  /// - Parameter radius: typical calibre of the path, which bounds that of the organelle.
  static func mitochondria(key: UInt64, role: PathRole, radius: Double, arcs: ClosedRange<Double>) -> [Mitochondrion] {
    let slot: Double
    let plan: [(chance: Double, offset: Double)]
    switch role {
    case .trunk: (slot, plan) = (2600, [(0.9, 0.55), (0.75, 0.6), (0.4, 0.6)])
    case .dendrite: (slot, plan) = (2400, [(0.9, 0.35), (0.35, 0.5)])
    case .twig: (slot, plan) = (2400, [(0.4, 0.1)])
    case .axon: (slot, plan) = (1900, [(0.4, 0.1)])
    case .glia: (slot, plan) = (1500, [(0.12, 0)])
    case .spine: return []
    }
    let thin = role == .axon || role == .twig || role == .glia
    var found: [Mitochondrion] = []
    for index in slots(arcs, slot) {
      for (number, entry) in plan.enumerated() {
        var random = RandomStream(key: Hash.key(key, index, 41, number))
        guard random.chance(entry.chance) else { continue }
        let size = thin ? random.uniform(80, 125) : min(random.uniform(85, 165), radius * 0.5)
        let (u, v) = (random.normal(), random.normal())
        let away = radius * entry.offset * random.unit() / max(0.3, (u * u + v * v).squareRoot())
        found.append(
          Mitochondrion(
            arc: Float((Double(index) + random.uniform(0.25, 0.75)) * slot),
            half: Float(thin ? random.uniform(120, 500) : random.uniform(200, 950)),
            a: Float(u * away), b: Float(v * away), radius: Float(size), key: random.next()))
      }
    }
    return found
  }

  private static func slots(_ arcs: ClosedRange<Double>, _ length: Double) -> ClosedRange<Int> {
    Int((arcs.lowerBound / length).rounded(.down)) - 1...Int((arcs.upperBound / length).rounded(.down)) + 1
  }
}
