import Testing

/// One test at a time: they use all threads, and measure memory and work.
@Suite(.serialized) enum FGNetKernelSuite {}
