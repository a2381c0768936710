/// What is kept between evaluations: the network cut where its layers look at neighbouring sections. Each is evaluated
/// for one place of the stack from others at the same place, or at the place and both its neighbours.
enum Layer: Int, CaseIterable {
  /// The normalised section.
  case image
  /// Trunk to the first half of `coarse.rs8`, and `coarse.lateral4`.
  case base
  /// F_1.
  case fine1
  /// First half of `fge.rs2`.
  case encode2
  /// G_8, G_4, G_2.
  case guide8, guide4, guide2
  /// Coarse logits, U_2, U_4, U_8.
  case coarse
  /// F_2, F_4, F_8 and, between them, the first halves of `fge.rs4` and `fge.rs8`.
  case fine2, encode4, fine4, encode8, fine8
  /// First half of `refined.rs4`, D_4, first half of `refined.rs2`.
  case mix4, decode4, mix2
  /// Refined logits.
  case output

  /// What a layer reads: a layer, and whether at the neighbouring places too.
  struct Input {
    var layer: Layer
    var neighbours: Bool
  }

  var inputs: [Input] {
    func at(_ layer: Layer) -> Input { Input(layer: layer, neighbours: false) }
    func around(_ layer: Layer) -> Input { Input(layer: layer, neighbours: true) }
    switch self {
    case .image: return []
    case .base: return [at(.image)]
    case .fine1: return [at(.image)]
    case .encode2: return [at(.fine1)]
    case .guide8: return [around(.base)]
    case .guide4: return [at(.guide8), at(.base)]
    case .guide2: return [at(.guide4)]
    case .coarse: return [at(.guide2)]
    case .fine2: return [around(.encode2), at(.guide2), at(.coarse)]
    case .encode4: return [at(.fine2)]
    case .fine4: return [around(.encode4), at(.guide4), at(.coarse)]
    case .encode8: return [at(.fine4)]
    case .fine8: return [around(.encode8), at(.guide8), at(.coarse)]
    case .mix4: return [at(.fine8), at(.fine4)]
    case .decode4: return [around(.mix4)]
    case .mix2: return [at(.decode4), at(.fine2)]
    case .output: return [around(.mix2), at(.fine1), at(.coarse)]
    }
  }

  /// Sections on each side that the layer depends on.
  var radius: Int { Self.radii[rawValue] }
  /// Sections on each side whose output depends on the layer.
  var reach: Int { Self.reaches[rawValue] }

  private static let radii: [Int] = {
    var radii = [Int](repeating: 0, count: allCases.count)
    // Every layer comes after its inputs.
    for layer in allCases {
      for input in layer.inputs {
        radii[layer.rawValue] = max(radii[layer.rawValue], radii[input.layer.rawValue] + (input.neighbours ? 1 : 0))
      }
    }
    return radii
  }()

  private static let reaches: [Int] = {
    var reaches = [Int](repeating: 0, count: allCases.count)
    for layer in allCases.reversed() {
      for input in layer.inputs {
        let reach = reaches[layer.rawValue] + (input.neighbours ? 1 : 0)
        reaches[input.layer.rawValue] = max(reaches[input.layer.rawValue], reach)
      }
    }
    return reaches
  }()

  /// The lowest place at which the layer is still read once every section up to `final` is done: the places of its
  /// readers that are not evaluated yet begin at final + 1 + reach.
  func firstPlaceNeeded(after final: Int) -> Int {
    var first = Int.max
    for layer in Self.allCases {
      for input in layer.inputs where input.layer == self {
        first = min(first, final + 1 + layer.reach - (input.neighbours ? 1 : 0))
      }
    }
    return first
  }
}
