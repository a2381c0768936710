import Domain
import Testing

@Suite("Costly errors") struct CostlyErrorTests {
  private func table(_ truth: [UInt64], _ found: [UInt64]) -> Contingency {
    var table = Contingency()
    table.add(truth: truth, found: found)
    return table
  }

  @Test("contributions of all labels add up to the two terms") func sums() {
    var generator = SplitMix(seed: 21)
    let truth = (0..<2000).map { _ in generator.next() % 12 }
    let found = truth.map { generator.next() % 4 == 0 ? generator.next() % 15 : $0 / 2 + 1 }
    let table = table(truth, found)
    let voi = table.variationOfInformation()
    let merges = table.costliest(.merge, count: 1000)
    let splits = table.costliest(.split, count: 1000)
    #expect(abs(merges.reduce(0) { $0 + $1.bits } - voi.merge) < 1e-12)
    #expect(abs(splits.reduce(0) { $0 + $1.bits } - voi.split) < 1e-12)
    for errors in [merges, splits] {
      #expect(zip(errors, errors.dropFirst()).allSatisfy { $0.bits >= $1.bits })
      #expect(errors.allSatisfy { error in error.parts.reduce(0) { $0 + $1.voxels } == error.voxels })
      #expect(errors.allSatisfy { zip($0.parts, $0.parts.dropFirst()).allSatisfy { $0.voxels >= $1.voxels } })
    }
    #expect(table.costliest(.merge, count: 3) == Array(merges.prefix(3)))
  }

  @Test("a segment over two objects is a merge, an object in two segments a split") func kinds() {
    // Segment 5 holds objects 1 and 2 (2 bits' worth: half and half), object 3 is cut 3 to 1.
    let table = table([1, 1, 2, 2, 3, 3, 3, 3, 0, 0], [5, 5, 5, 5, 7, 7, 7, 8, 5, 9])
    let merge = table.costliest(.merge, count: 10)
    #expect(merge.count == 1)
    #expect(merge.first?.label == 5 && merge.first?.voxels == 4)
    #expect(merge.first?.parts == [.init(label: 1, voxels: 2), .init(label: 2, voxels: 2)])
    #expect(abs((merge.first?.bits ?? 0) - 0.5) < 1e-12)
    let split = table.costliest(.split, count: 10)
    #expect(split.map(\.label) == [3])
    #expect(split.first?.parts == [.init(label: 7, voxels: 3), .init(label: 8, voxels: 1)])
    #expect(table.costliest(.merge, count: 10, ignoring: []).first?.voxels == 5)
  }

  @Test("a perfect result has none, and equal costs go by label") func order() {
    #expect(table([1, 2, 3], [4, 5, 6]).costliest(.merge, count: 9).isEmpty)
    #expect(table([], []).costliest(.split, count: 9).isEmpty)
    let twins = table([4, 4, 2, 2], [1, 2, 3, 4]).costliest(.split, count: 9)
    #expect(twins.map(\.label) == [2, 4])
  }
}
