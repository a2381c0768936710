/// Stateless hashing: everything the simulator draws is a function of the seed and of what is drawn.
///
/// Only integer arithmetic and IEEE-exact operations (+ - * / sqrt) are used anywhere in the simulator, no libm, so a volume
/// is the same on every machine.
enum Hash {
  /// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
  @inline(__always)
  static func mix(_ value: UInt64) -> UInt64 {
    var v = value &+ 0x9E37_79B9_7F4A_7C15
    v = (v ^ (v >> 30)) &* 0xBF58_476D_1CE4_E5B9
    v = (v ^ (v >> 27)) &* 0x94D0_49BB_1331_11EB
    return v ^ (v >> 31)
  }

  /// A key for something numbered (a, b, c) that belongs to `parent`.
  @inline(__always)
  static func key(_ parent: UInt64, _ a: Int, _ b: Int = 0, _ c: Int = 0) -> UInt64 {
    lattice(mix(parent), a, b, c)
  }

  /// One hash for a lattice point; `key` should be mixed already.
  @inline(__always)
  static func lattice(_ key: UInt64, _ a: Int, _ b: Int, _ c: Int) -> UInt64 {
    let u = UInt64(bitPattern: Int64(a)) &* 0xA24B_AED4_963E_E407
    let v = UInt64(bitPattern: Int64(b)) &* 0x9FB2_1C65_1E98_DF25
    let w = UInt64(bitPattern: Int64(c)) &* 0xD6E8_FEB8_6659_FD93
    return mix(key ^ u ^ (v << 1 | v >> 63) ^ (w << 2 | w >> 62))
  }

  /// 0..<1 from the upper bits.
  @inline(__always)
  static func unit(_ hash: UInt64) -> Double { Double(hash >> 11) * 0x1p-53 }
}

/// splitmix64 as a sequence.
struct RandomStream {
  var state: UInt64
  init(key: UInt64) { state = key }

  mutating func next() -> UInt64 {
    let result = Hash.mix(state)
    state = state &+ 0x9E37_79B9_7F4A_7C15
    return result
  }
  /// 0..<1.
  mutating func unit() -> Double { Hash.unit(next()) }
  mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }
  mutating func chance(_ probability: Double) -> Bool { unit() < probability }
  /// Mean 0, variance 1, from the sum of four 16-bit uniforms: no logarithm needed, tails end at 3.5.
  mutating func normal() -> Double { Double(RandomStream.normal(next())) }
  /// A direction, uniform on the sphere but for the bias of `normal`.
  mutating func direction() -> Vector {
    let v = Vector(x: normal(), y: normal(), z: normal())
    let length = v.length
    return length > 1e-6 ? v * (1 / length) : Vector(x: 0, y: 0, z: 1)
  }

  /// The same from a hash.
  @inline(__always)
  static func normal(_ h: UInt64) -> Float {
    let sum = Int32(h & 0xFFFF) + Int32(h >> 16 & 0xFFFF) + Int32(h >> 32 & 0xFFFF) + Int32(h >> 48)
    return Float(sum - 131_070) * (1.732_050_8 / 65_536)
  }
}
