import Domain
import Testing

@Suite("Scores of a growing stack") struct GrowingScoresTests {
  private func sections(_ count: Int, seed: UInt64) -> [Contingency] {
    var generator = SplitMix(seed: seed)
    return (0..<count).map { _ in
      let truth = (0..<400).map { _ in generator.next() % 7 }
      let found = truth.map { generator.next() % 5 == 0 ? generator.next() % 9 : $0 % 6 + 20 }
      var table = Contingency()
      table.addSection(
        truth: Plane(height: 20, width: 20, storage: truth), found: Plane(height: 20, width: 20, storage: found))
      return table
    }
  }

  @Test("every point is the score of the sections so far", arguments: [Set<UInt64>([0]), [], [0, 3]])
  func agreesWithTheTable(ignoring: Set<UInt64>) {
    var growing = GrowingScores(ignoring: ignoring)
    var whole = Contingency()
    for section in sections(6, seed: 3) {
      whole.add(section)
      let (alone, stack) = growing.add(section)
      #expect(alone.voi == section.variationOfInformation(ignoring: ignoring))
      #expect(alone.adaptedRandError == section.adaptedRandError(ignoring: ignoring))
      let voi = whole.variationOfInformation(ignoring: ignoring)
      #expect(abs(stack.voi.split - voi.split) < 1e-12)
      #expect(abs(stack.voi.merge - voi.merge) < 1e-12)
      #expect(abs(stack.adaptedRandError - whole.adaptedRandError(ignoring: ignoring)) < 1e-12)
      #expect(stack.pixels == whole.scoredPixels(ignoring: ignoring))
    }
    #expect(growing.table == whole)
  }

  @Test("a split between sections costs nothing in either, and something in the stack")
  func betweenSections() {
    func table(_ found: UInt64) -> Contingency {
      var table = Contingency()
      table.addSection(
        truth: Plane(height: 2, width: 2, repeating: 1), found: Plane(height: 2, width: 2, repeating: found))
      return table
    }
    var growing = GrowingScores()
    #expect(growing.add(table(5)).stack.voi.sum == 0)
    let (alone, stack) = growing.add(table(6))
    #expect(alone.voi.sum == 0 && alone.adaptedRandError == 0)
    #expect(abs(stack.voi.split - 1) < 1e-12 && stack.voi.merge == 0)
  }

  @Test("nothing scored scores 0") func empty() {
    var growing = GrowingScores()
    var table = Contingency()
    table.addSection(truth: Plane(height: 1, width: 3, repeating: 0), found: Plane(height: 1, width: 3, repeating: 4))
    let (alone, stack) = growing.add(table)
    #expect(alone.pixels == 0 && stack.pixels == 0 && stack.voi.sum == 0 && stack.adaptedRandError == 0)
    #expect(growing.table.total == 3)
  }
}
