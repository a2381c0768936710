/// What a path is in the anatomy.
enum PathRole {
  case trunk
  case dendrite
  case twig
  case axon
  case glia
  case spine
}

/// A path on the way to the tissue: known by the id of its neurite, without organelles.
struct RawPath {
  var id: UInt32
  var kind: NeuriteKind
  var key: UInt64
  var role: PathRole
  /// Arc length of the first sample; 0 is where the process was born.
  var arc: Double
  var step: Double
  /// Nominal radius of a thick process, 0 for a thin one. Unlike the samples', the same wherever the path is looked at.
  var calibre = 0.0
  var samples: [Sample]

  func tangent(_ k: Int) -> Vector {
    let a = samples[max(0, k - 1)].point
    let b = samples[min(samples.count - 1, k + 1)].point
    return (b - a).normalised
  }

  /// Keeps what can be reached from the birth place without a sample that is `blocked`.
  mutating func cut(where blocked: (Sample) -> Bool) {
    let birth = Int((-arc / step).rounded())
    guard samples.indices.contains(birth), !blocked(samples[birth]) else {
      samples = []
      return
    }
    var low = birth
    while low > 0, !blocked(samples[low - 1]) { low -= 1 }
    var high = birth
    while high < samples.count - 1, !blocked(samples[high + 1]) { high += 1 }
    samples = Array(samples[low...high])
    arc += Double(low) * step
  }

  /// Gives the calibre its course: beads on axons, slow swelling of dendrites.
  mutating func modulate() {
    var random = RandomStream(key: Hash.mix(key ^ 0x6265_6164))
    let base: Double
    switch role {
    case .trunk, .spine: return
    case .dendrite: base = 0
    case .twig: base = random.uniform(70, 190)
    case .axon: base = random.unit() * random.uniform(0, 130)
    case .glia: base = 0
    }
    for k in samples.indices {
      let s = arc + Double(k) * step
      switch role {
      case .dendrite:
        samples[k].radius *= 0.86 + 0.14 * ValueNoise.line(key ^ 5, s / 900)
      case .axon:
        samples[k].radius = base
        for bouton in Organelles.boutons(key: key, around: s) {
          let d = (s - Double(bouton.arc)) / Double(bouton.half)
          samples[k].radius += 150 * max(0, 1 - d * d * 0.6)
        }
      case .twig:
        samples[k].radius = base * (0.8 + 0.3 * ValueNoise.line(key ^ 5, s / 700))
      case .glia, .trunk, .spine: break
      }
    }
  }

  /// The head of a spine, at the end of the whole length even if the walk got stuck before.
  mutating func swellHead(count: Int, radius: Double) {
    for k in samples.indices {
      let fromEnd = Double(count - k)
      samples[k].radius = radius * max(0, 1 - fromEnd / 6)
    }
  }

  /// The stretches whose samples are in `box`, with one sample more at each end.
  func parts(in box: Box) -> [RawPath] {
    var parts: [RawPath] = []
    var k = 0
    let inside = samples.map { box.distance(to: $0.point) == 0 }
    while k < samples.count {
      guard inside[k] else {
        k += 1
        continue
      }
      let first = max(0, k - 1)
      while k < samples.count, inside[k] { k += 1 }
      let last = min(samples.count - 1, k)
      var part = self
      part.samples = Array(samples[first...last])
      part.arc = arc + Double(first) * step
      parts.append(part)
    }
    return parts
  }
}
