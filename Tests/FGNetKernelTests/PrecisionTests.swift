import CKernels
import Testing

@testable import FGNetKernel

extension FGNetKernelSuite {
  /// bfloat16, on CPUs that have it; on others, that it is not chosen. The kernels themselves: `KernelTests`.
  @Suite struct PrecisionTests {
    /// bfloat16 where it can be tested, chosen or not.
    static let narrowest: Precision = Precision.bfloat16.isSupported ? .bfloat16 : .float32

    static func micro(_ precision: Precision) throws -> FGNet {
      let architecture = try microArchitecture()
      return try FGNet(
        architecture: architecture, weights: FormulaWeights(seed: 1, tensors: architecture.tensors),
        precision: precision)
    }

    @Test func theBestIsSupported() {
      #expect(Precision.best.isSupported && Precision.float32.isSupported)
      #expect(Precision.best == (ck_bf16_is_faster() == 1 ? .bfloat16 : .float32))
      #expect(!Precision.best.kernels.isEmpty && Precision.float32.kernels != Precision.bfloat16.kernels)
    }

    @Test func theThreadsKernelsAreSetBack() throws {
      for precision in Precision.allCases where precision.isSupported {
        let before = ck_isa()
        let network = try Self.micro(precision)
        _ = try network.evaluate(index: 0, stack: StreamingTests.stack(0..<2, 32, 32))
        #expect(ck_isa() == before)
        #expect(throws: KernelError.self) {
          try network.evaluate(
            index: 0, stack: [StackPlane(key: "empty") { FloatPlane(height: 0, width: 0, values: []) }])
        }
        #expect(ck_isa() == before)
      }
    }

    /// Rounding changes the result, but not by much.
    @Test func bothPrecisionsAgree() throws {
      let stack = StreamingTests.stack(0..<3, 70, 95)
      let exact = try Self.micro(.float32).evaluate(index: 1, stack: stack, coarse: true)
      let narrow = try Self.micro(Self.narrowest).evaluate(index: 1, stack: stack, coarse: true)
      #expect((narrow == exact) == (Self.narrowest == .float32))
      #expect(exact.coarse.count == 3)
      for (a, b) in zip(exact.refined + exact.coarse, narrow.refined + narrow.coarse) {
        let worst = zip(a.values, b.values).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
        #expect(worst < 0.05)
      }
    }

    @Test func streamingEqualsTheWholeStackForAnyNumberOfThreads() throws {
      let before = ck_threads()
      defer { ck_use_threads(before) }
      let all = StreamingTests.stack(0..<12, 40, 70)
      let whole = try Self.micro(Self.narrowest)
      ck_use_threads(1)
      let expected = try (0..<12).map { try whole.evaluate(index: $0, stack: all) }
      ck_use_threads(3)
      let streaming = try Self.micro(Self.narrowest)
      for newest in 5..<12 {
        let final = newest - 5
        let first = max(0, final - 5)
        let found = try streaming.evaluate(
          index: final - first, stack: StreamingTests.stack(first..<newest + 1, 40, 70))
        #expect(found == expected[final], "section \(final)")
      }
    }
  }
}
