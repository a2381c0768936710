import Domain
import Testing

@testable import Daemon

@Suite struct VolumePlanTests {
  let reach = VolumePlan.Reach(context: 2, behind: 3, ahead: 2)

  func plan(_ sections: [SectionNumber], missing: [SectionNumber] = [], last: SectionNumber? = nil) -> VolumePlan {
    var plan = VolumePlan(reach: reach)
    for z in sections { plan.insert(z, source: "source \(z)") }
    for z in missing { plan.declareMissing(z) }
    plan.finish(at: last)
    return plan
  }

  func contents(_ plan: VolumePlan) -> [String] {
    var plan = plan
    return plan.stack.indices.map { plan.decisionContent($0) }
  }

  @Test func orderOfArrivalDoesNotMatter() {
    let expected = contents(plan(Array(10..<30), last: 29))
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<20 {
      var shuffled = plan((10..<30).shuffled(using: &generator))
      shuffled.finish(at: 29)
      #expect(contents(shuffled) == expected)
    }
  }

  @Test func inOrderOneSectionIsReadyForOneThatComes() {
    var plan = VolumePlan(reach: reach)
    var committed: [SectionNumber] = []
    for z in SectionNumber(0)..<30 {
      plan.insert(z, source: "\(z)")
      while let place = plan.nextCommit().first {
        #expect(plan.nextCommit().count == 1)
        committed.append(plan.stack[place])
        plan.noteCommitted(plan.stack[place], content: plan.decisionContent(place))
      }
      // What looks R + L sections ahead is final so many sections later, and nothing earlier is touched again.
      #expect(committed == Array(0..<max(0, z + 1 - 4)))
    }
    plan.finish(at: 29)
    #expect(plan.nextCommit().first == 26)
  }

  @Test(arguments: [SectionNumber(0), 5, 11]) func aSectionSetAsideIsAsOneMissing(z: SectionNumber) {
    let all = Array(SectionNumber(0)..<12)
    var aside = plan(all, last: 11)
    for place in aside.stack.indices { aside.noteCommitted(aside.stack[place], content: aside.decisionContent(place)) }
    #expect(aside.unsettled.isEmpty)
    aside.setAside(z)
    let without = plan(all.filter { $0 != z }, missing: [z], last: 11)
    #expect(contents(aside) == contents(without) && aside.stack == without.stack)
    #expect(aside.stack.indices.allSatisfy(aside.isDecisionFinal))
    // Its neighbourhood is decided again, and nothing further away.
    #expect(!aside.unsettled.isEmpty && aside.unsettled.allSatisfy { abs($0 - z) <= 6 } && !aside.unsettled.contains(z))
    aside.insert(z, source: "source \(z)")
    #expect(contents(aside) == contents(plan(all, last: 11)))
    #expect(aside.unsettled == [z], "what was committed rests on the same content again")
  }

  @Test func aHoleBlocksUntilItIsDeclaredOrFilled() {
    var holed = plan([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11], last: 11)
    #expect(holed.holes() == [VolumePlan.Hole(sections: 5...5, below: 4, above: 6)])
    #expect(!holed.isDecisionFinal(4))
    #expect(holed.isDecisionFinal(0))
    #expect(!holed.isDecisionFinal(1))
    holed.declareMissing(5)
    #expect(holed.stack.indices.allSatisfy(holed.isDecisionFinal))
    #expect(holed.gapBelow(5) == 1)

    var filled = holed
    filled.insert(5, source: "source 5")
    #expect(contents(filled) == contents(plan(Array(0..<12), last: 11)))
  }

  @Test func aHoleIsARangeHoweverLargeItIs() {
    var far = plan([0, 1, 2, 9, 2_000_000_000], missing: [4, 6, 7, 1_000_000])
    #expect(
      far.holes() == [
        VolumePlan.Hole(sections: 3...3, below: 2, above: 9), VolumePlan.Hole(sections: 5...5, below: 2, above: 9),
        VolumePlan.Hole(sections: 8...8, below: 2, above: 9),
        VolumePlan.Hole(sections: 10...999_999, below: 9, above: 2_000_000_000),
        VolumePlan.Hole(sections: 1_000_001...1_999_999_999, below: 9, above: 2_000_000_000),
      ])
    far.setAside(2_000_000_000)
    #expect(far.holes().map(\.sections) == [3...3, 5...5, 8...8])
  }

  @Test func aLateSectionUnsettlesItsNeighbourhoodOnly() {
    var plan = plan((0..<100).filter { $0 != 50 }, missing: [50], last: 99)
    for place in plan.stack.indices { plan.noteCommitted(plan.stack[place], content: plan.decisionContent(place)) }
    #expect(plan.unsettled.isEmpty)
    plan.insert(50, source: "source 50")
    // Graphs of 48...53 change (context 2, and the one above stands on them); decisions that look at any of these.
    #expect(plan.unsettled == Array(46...56))
    #expect(plan.nextCommit().map { plan.stack[$0] } == Array(46...56))
  }

  @Test func theSameSourceAgainChangesNothing() {
    var plan = plan(Array(0..<10), last: 9)
    for place in plan.stack.indices { plan.noteCommitted(plan.stack[place], content: plan.decisionContent(place)) }
    plan.insert(4, source: "source 4")
    #expect(plan.unsettled.isEmpty)
    plan.insert(4, source: "other")
    #expect(plan.unsettled.contains(4))
  }

  @Test func negativeNumbersAndEmptyPlans() {
    var empty = VolumePlan(reach: reach)
    #expect(empty.nextCommit().isEmpty)
    empty.finish(at: nil)
    #expect(empty.holes().isEmpty)
    let below = plan([-3, -2, -1, 0, 1], last: 1)
    #expect(below.stack == [-3, -2, -1, 0, 1])
    #expect(below.isDecisionFinal(0))
  }

  @Test func aThousandSectionsAtOnceAreOfferedFromTheBottom() {
    let plan = plan(Array(0..<1000), last: 999)
    #expect(plan.nextCommit() == [0])
  }
}

/// A small seeded generator (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
