/// Smooth random fields: values at lattice points, joined by a cubic fade.
enum ValueNoise {
  @inline(__always)
  static func fade(_ t: Float) -> Float { t * t * (3 - 2 * t) }

  /// -1...1 at a place in units of the lattice.
  static func value(_ key: UInt64, _ x: Float, _ y: Float, _ z: Float) -> Float {
    let fx = x.rounded(.down)
    let fy = y.rounded(.down)
    let fz = z.rounded(.down)
    let (ix, iy, iz) = (Int(fx), Int(fy), Int(fz))
    let (u, v, w) = (fade(x - fx), fade(y - fy), fade(z - fz))
    @inline(__always)
    func corner(_ a: Int, _ b: Int, _ c: Int) -> Float {
      Float(Hash.lattice(key, ix &+ a, iy &+ b, iz &+ c) >> 40) * (2 / 16_777_216) - 1
    }
    @inline(__always)
    func row(_ b: Int, _ c: Int) -> Float {
      let p = corner(0, b, c)
      return p + u * (corner(1, b, c) - p)
    }
    let (p, q) = (row(0, 0), row(1, 0))
    let (r, s) = (row(0, 1), row(1, 1))
    let low = p + v * (q - p)
    return low + w * (r + v * (s - r) - low)
  }

  /// Three independent fields from one set of hashes.
  static func vector(_ key: UInt64, _ x: Float, _ y: Float, _ z: Float) -> (Float, Float, Float) {
    let fx = x.rounded(.down)
    let fy = y.rounded(.down)
    let fz = z.rounded(.down)
    let (ix, iy, iz) = (Int(fx), Int(fy), Int(fz))
    let (u, v, w) = (fade(x - fx), fade(y - fy), fade(z - fz))
    var sum: (Float, Float, Float) = (0, 0, 0)
    for c in 0...1 {
      for b in 0...1 {
        for a in 0...1 {
          let weight = (a == 0 ? 1 - u : u) * (b == 0 ? 1 - v : v) * (c == 0 ? 1 - w : w)
          let h = Hash.lattice(key, ix &+ a, iy &+ b, iz &+ c)
          sum.0 += weight * Float(h & 0x1F_FFFF)
          sum.1 += weight * Float(h >> 21 & 0x1F_FFFF)
          sum.2 += weight * Float(h >> 42 & 0x1F_FFFF)
        }
      }
    }
    let k: Float = 2 / 2_097_152
    return (sum.0 * k - 1, sum.1 * k - 1, sum.2 * k - 1)
  }

  /// -1...1 along a line.
  static func line(_ key: UInt64, _ t: Double) -> Double {
    let f = t.rounded(.down)
    let u = t - f
    let i = Int(f)
    let p = Hash.unit(Hash.lattice(key, i, 0, 0))
    let q = Hash.unit(Hash.lattice(key, i &+ 1, 0, 0))
    return 2 * (p + u * u * (3 - 2 * u) * (q - p)) - 1
  }
}
