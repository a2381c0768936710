import Domain
import Testing

@Suite("Metrics")
struct MetricsTests {
  struct Vector: Sendable, CustomTestStringConvertible {
    var name: String
    var truth: [UInt8]
    var found: [UInt8]
    var are: Double
    var split: Double
    var merge: Double
    var cremi: Double
    var testDescription: String { name }
  }

  /// Computed with scikit-image 0.26 and the CREMI script.
  static let vectors = [
    Vector(
      name: "T1, all merged", truth: [1, 1, 1, 1, 2, 2, 2, 2], found: [1, 1, 1, 1, 1, 1, 1, 1], are: 0.4, split: 0,
      merge: 1, cremi: 0.333333),
    Vector(
      name: "T2, split in two", truth: [1, 1, 1, 1, 1, 1, 1, 1], found: [1, 1, 1, 1, 2, 2, 2, 2], are: 0.4, split: 1,
      merge: 0, cremi: 0.333333),
    Vector(
      name: "T3, truth 0 ignored", truth: [0, 0, 1, 1, 1, 2, 2, 2], found: [9, 1, 1, 1, 2, 2, 2, 2], are: 0.384615,
      split: 0.459148, merge: 0.540852, cremi: 0.263158),
    Vector(
      name: "T4, found 0 is a segment", truth: [1, 1, 1, 1, 2, 2, 2, 2], found: [0, 0, 1, 1, 0, 0, 2, 2], are: 0.6,
      split: 1, merge: 0.5, cremi: 0.580247),
    Vector(
      name: "T5, three segments", truth: [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3],
      found: [1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3], are: 0.35, split: 0.459148, merge: 0.404563, cremi: 0.269231),
  ]

  @Test("published vectors", arguments: vectors)
  func vector(_ vector: Vector) {
    var contingency = Contingency()
    contingency.add(truth: vector.truth, found: vector.found)
    let voi = contingency.variationOfInformation()
    #expect(abs(voi.split - vector.split) < 1e-6)
    #expect(abs(voi.merge - vector.merge) < 1e-6)
    #expect(voi.sum == voi.split + voi.merge)
    #expect(abs(contingency.adaptedRandError() - vector.are) < 1e-6)
    #expect(abs(contingency.adaptedRandError(.cremi) - vector.cremi) < 1e-6)
    let score = (vector.cremi * (vector.split + vector.merge)).squareRoot()
    #expect(abs(contingency.cremiScore() - score) < 2e-6)
  }

  @Test("section by section equals at once")
  func streamed() {
    var generator = SplitMix(seed: 5)
    let truth = (0..<60).map { _ in UInt16(generator.next() % 4) }
    let found = (0..<60).map { _ in UInt64(generator.next() % 5) }
    var whole = Contingency()
    whole.add(truth: truth, found: found)
    var parts = Contingency()
    for start in stride(from: 0, to: 60, by: 12) {
      parts.add(
        truth: Plane(height: 3, width: 4, storage: Array(truth[start..<start + 12])),
        found: Plane(height: 3, width: 4, storage: Array(found[start..<start + 12])))
    }
    #expect(parts == whole)
    #expect(parts.total == 60)
    #expect(parts.variationOfInformation().split == whole.variationOfInformation().split)
  }

  @Test("nothing, and nothing kept, score 0")
  func empty() {
    var contingency = Contingency()
    #expect(contingency.variationOfInformation().sum == 0)
    #expect(contingency.adaptedRandError() == 0)
    #expect(contingency.adaptedRandError(.cremi) == 0)
    contingency.add(truth: [0, 0] as [UInt8], found: [1, 2] as [UInt8])
    #expect(contingency.variationOfInformation().sum == 0)
    #expect(contingency.variationOfInformation(ignoring: []).split == 1)
    #expect(contingency.adaptedRandError() == 0)
  }

  @Test("labels' names do not matter, and a perfect result scores 0")
  func relabelled() {
    var generator = SplitMix(seed: 9)
    let truth = (0..<200).map { _ in UInt64(generator.next() % 6 + 1) }
    let found = truth.map { ($0 * 7919) % 1_000_003 }
    var contingency = Contingency()
    contingency.add(truth: truth, found: found)
    #expect(contingency.variationOfInformation().sum < 1e-12)
    #expect(contingency.adaptedRandError() < 1e-12)
    #expect(contingency.adaptedRandError(.cremi) < 1e-12)
  }

  @Test("swapping truth and result swaps split and merge")
  func swapped() {
    var generator = SplitMix(seed: 11)
    let one = (0..<300).map { _ in UInt64(generator.next() % 5 + 1) }
    let other = (0..<300).map { one[$0] % 3 + generator.next() % 2 + 1 }
    var forth = Contingency()
    forth.add(truth: one, found: other)
    var back = Contingency()
    back.add(truth: other, found: one)
    #expect(abs(forth.variationOfInformation().split - back.variationOfInformation().merge) < 1e-12)
    #expect(abs(forth.adaptedRandError() - back.adaptedRandError()) < 1e-12)
    #expect(forth.variationOfInformation().split != forth.variationOfInformation().merge)
  }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
