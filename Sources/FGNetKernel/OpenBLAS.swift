internal import CKernels
internal import COpenBLAS

/// What is to be known of the linked OpenBLAS. Debian's build takes some new CPUs for old ones and runs at half speed;
/// the choice is read from `OPENBLAS_CORETYPE` when the library loads, so a program corrects it by starting itself
/// again.
public enum OpenBLAS {
  /// The kernels OpenBLAS chose, for example `Haswell`.
  public static var coreName: String { String(cString: openblas_get_corename()) }

  /// The core type whose kernels suit this CPU: `SkylakeX` with AVX-512, `Haswell` with AVX2, nil for others, where
  /// OpenBLAS's own choice stands.
  public static func recommendedCoreType() -> String? {
    switch ck_best_isa() {
    case Int32(CK_AVX512.rawValue): return "SkylakeX"
    case Int32(CK_AVX2.rawValue): return "Haswell"
    default: return nil
    }
  }

  /// What to set `OPENBLAS_CORETYPE` to before starting again; nil when the kernels in use suit the CPU.
  public static func coreTypeToRestartWith() -> String? {
    guard let recommended = recommendedCoreType() else { return nil }
    let wide = ["SkylakeX", "Cooperlake", "Sapphirerapids"].map { $0.lowercased() }
    let suitable = recommended == "SkylakeX" ? wide : wide + ["haswell", "zen"]
    return suitable.contains(coreName.lowercased()) ? nil : recommended
  }

  /// Threads for the kernels and for OpenBLAS, process-wide.
  public static func useThreads(_ threads: Int) {
    ck_use_threads(Int32(clamping: threads))
    openblas_set_num_threads(ck_threads())
  }
}

/// c (m, n) <- alpha * a (m, k) * b + beta * c, with b (n, k) transposed or (k, n) plain; leading dimensions in floats.
func multiply(
  _ a: UnsafePointer<Float>, _ lda: Int, _ b: UnsafePointer<Float>, _ ldb: Int, transposed: Bool,
  _ c: UnsafeMutablePointer<Float>, _ ldc: Int, m: Int, n: Int, k: Int, beta: Float
) {
  cblas_sgemm(
    CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a,
    blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
}
