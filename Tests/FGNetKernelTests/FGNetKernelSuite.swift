import Testing

/// One test at a time: the instruction set and the number of threads belong to the process.
@Suite(.serialized) enum FGNetKernelSuite {}
