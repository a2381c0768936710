internal import CKernels

/// What numbers the network multiplies.
public enum Precision: String, Sendable, CaseIterable {
  case float32 = "fp32"
  /// Activations and weights are rounded to bfloat16 when they are multiplied with each other; sums, attention between
  /// tokens, and everything that is kept between layers are float32.
  case bfloat16 = "bf16"

  /// The fastest that is as good: bfloat16 where the CPU's instructions for it are faster (docs/performance.md).
  public static var best: Precision { ck_bf16_is_faster() == 1 ? .bfloat16 : .float32 }

  /// Whether this CPU has instructions for it.
  public var isSupported: Bool { self == .float32 || ck_has_bf16() == 1 }

  /// The kernels of this precision on this CPU, for people.
  public var kernels: String {
    if self == .bfloat16 { return "AVX-512 with bfloat16" }
    switch ck_best_isa() {
    case Int32(CK_AVX512.rawValue): return "AVX-512"
    case Int32(CK_AVX2.rawValue): return "AVX2"
    default: return "baseline"
    }
  }

  /// Does work of the calling thread with the kernels of this precision, and sets back what was in use.
  /// - Precondition: `isSupported`.
  func inUse<Result, Failure: Error>(_ work: () throws(Failure) -> Result) throws(Failure) -> Result {
    precondition(isSupported, "this CPU has no instructions for \(rawValue)")
    let before = ck_isa()
    if self == .bfloat16 { ck_use_isa(Int32(CK_AVX512_BF16.rawValue)) }
    defer { ck_use_isa(before) }
    return try work()
  }
}
