/// A layer at a place of the stack.
struct Step: Hashable {
  var layer: Layer
  var place: Int

  /// What it is evaluated from.
  /// - Parameter places: sections of the stack.
  func inputs(places: Int) -> [Step] {
    layer.inputs.flatMap { input -> [Step] in
      let near = input.neighbours ? max(place - 1, 0)...min(place + 1, places - 1) : place...place
      return near.map { Step(layer: input.layer, place: $0) }
    }
  }
}

/// What must be evaluated for one output, and in what order.
struct Schedule {
  /// In the order a growing stack would do it, so that little is in memory at a time.
  let steps: [Step]
  /// Sections from `final` on can still get neighbours, or are still to be evaluated: what they can need stays.
  let final: Int

  /// Nothing stays.
  static let nothing = Int.max / 2

  /// - Parameter has: what is there from evaluations before.
  init(index: Int, places: Int, final: Int, has: (Step) -> Bool) {
    self.final = final
    var open = [Step(layer: .output, place: index)]
    var found: Set<Step> = Set(open)
    while let step = open.popLast() {
      for input in step.inputs(places: places) where !found.contains(input) {
        if has(input) { continue }
        found.insert(input)
        open.append(input)
      }
    }
    steps = found.sorted { a, b in
      let (waveA, waveB) = (a.place - a.layer.reach, b.place - b.layer.reach)
      return (waveA, a.layer.rawValue, a.place) < (waveB, b.layer.rawValue, b.place)
    }
  }

  /// Whether a layer goes when its last reader in the schedule is done.
  func drops(_ step: Step) -> Bool { step.place < step.layer.firstPlaceNeeded(after: final) }
}
