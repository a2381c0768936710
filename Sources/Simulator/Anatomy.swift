/// Measures of the simulated tissue, nanometres unless said otherwise. Chosen by eye against mouse cortex.
enum Anatomy {
  /// Edge of the cubes that neurites are born in.
  static let block = 1000.0
  /// Numbers of neurites that can be born in one block.
  static let perBlock = 16

  /// Distance between samples along a trunk or thick dendrite, and along a thin process.
  static let thickStep = 80.0
  static let thinStep = 60.0

  /// Trunks: large dendrites and myelinated axons, endless, side by side on a lattice so that they never meet.
  static let trunkSpacing = 2200.0
  static let trunkShare = 0.85
  static let trunkRadius = 290.0...690.0
  static let myelinatedShare = 0.14
  static let sheath = 70.0...130.0

  /// Dendrites: length (micrometres) per cubic micrometre, half length, radius.
  static let dendriteDensity = 0.5
  static let dendriteReach = 5000.0
  static let dendriteRadius = 150.0...360.0

  /// Axons, glia and twigs: births per cubic micrometre, half length.
  static let thinBirths = 5.6
  static let thinReach = 5000.0
  /// How far the axis of a thin process stays off the surface of a thick one.
  static let thinMargin = 75.0
  /// How much further out than its obstacle radius a thick process presses on its neighbours; less than `thinMargin`.
  static let pressure = 30.0
  /// Farthest a thin process can be from a point that belongs to it.
  static let thinInfluence = 1000.0
  /// Radius in which thin processes limit each other's calibre.
  static let crowding = 260.0
  /// How far a thick process can be from a point that belongs to it.
  static let thickInfluence = 1700.0
  /// How far spines reach out from their dendrite's axis.
  static let spineReach = 1700.0
}

enum NeuriteKind {
  case dendrite
  case myelinated
  case axon
  case glia
}

/// One cell's process with all its branches: what a label names.
struct Neurite {
  let id: UInt32
  let kind: NeuriteKind
  let key: UInt64
  /// Grey of its cytoplasm, 0...255.
  let grey: Float
  /// Amplitude of the cytoplasm's grain.
  let grain: Float
  /// Thickness of its myelin, 0 if bare.
  let sheath: Float

  init(id: UInt32, kind: NeuriteKind, key: UInt64) {
    self.id = id
    self.kind = kind
    self.key = key
    var random = RandomStream(key: Hash.mix(key ^ 0x6E65_7572))
    let spread = Float(random.normal())
    switch kind {
    case .dendrite: (grey, grain, sheath) = (176 + 7 * spread, 15, 0)
    case .axon: (grey, grain, sheath) = (160 + 11 * spread, 14, 0)
    case .glia: (grey, grain, sheath) = (140 + 12 * spread, 17, 0)
    case .myelinated:
      let range = Anatomy.sheath
      (grey, grain) = (170 + 8 * spread, 15)
      sheath = Float(random.uniform(range.lowerBound, range.upperBound))
    }
  }
}

/// A place on the axis of a process.
struct Sample {
  var point: Vector
  /// Additive weight of the axis in the tessellation: about the calibre.
  var radius: Double
  /// Carried along without twisting; with the tangent it makes the frame that organelles lie in.
  var normal: Vector
}

/// A stretch of a process, unbranched.
struct Path {
  /// Index into `Tissue.neurites`.
  var neurite: Int
  var key: UInt64
  /// Arc length of the first sample, from the birth of the process; samples are `step` apart.
  var arc: Double
  var step: Double
  var role: PathRole
  var samples: [Sample]
  var mitochondria: [Mitochondrion] = []
  var boutons: [Bouton] = []
}

/// A rod along the axis, in the frame of its path.
struct Mitochondrion {
  var arc: Float
  var half: Float
  var a: Float
  var b: Float
  var radius: Float
  var key: UInt64
}

/// A swelling with vesicles, and a synapse on the side (cosine, sine) of the frame.
struct Bouton {
  var arc: Float
  var half: Float
  var cosine: Float
  var sine: Float
  var key: UInt64
}

/// What there is near one section.
struct Tissue {
  var neurites: [Neurite] = []
  var paths: [Path] = []
}
