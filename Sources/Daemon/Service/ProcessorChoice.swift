import CLinux
import FGNetKernel
import Foundation

/// OpenBLAS chooses its kernels when it is loaded, and takes processors it does not know for old ones. If it chose worse than
/// the processor can do, the program starts itself again, once, with the choice in the environment. A user's own
/// OPENBLAS_CORETYPE wins.
enum ProcessorChoice {
  static func applyToLibraries() {
    guard getenv("OPENBLAS_CORETYPE") == nil, let core = OpenBLAS.coreTypeToRestartWith() else { return }
    setenv("OPENBLAS_CORETYPE", core, 1)
    var path = [CChar](repeating: 0, count: 4096)
    guard clinux_program(nil, &path, path.count) == 0 else { return }
    var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
    execv(path, &arguments)
    // Not restarted: it works all the same, only slower.
    for argument in arguments { free(argument) }
  }
}
