internal import CKernels

/// The memory of the kernels' maps, process-wide.
public enum KernelMemory {
  /// Bytes of large maps, in use and kept for reuse.
  public static var bytes: Int { ck_memory() }

  /// Freed maps are given back to the system rather than kept where in use and kept together are above `bytes`.
  public static func keep(within bytes: Int) { _ = ck_limit_memory(bytes) }

  /// Gives freed maps back to the system.
  public static func release() { ck_release_kept() }
}
