import Domain

/// What is known of one volume's sections, and which work follows from it. No input or output: a pure value.
///
/// Each product of a section is named by its *content*: a hash of the source sections it is computed from, in stack
/// order. A product is wanted when its content is not the one at hand. So the final state is a function of the set
/// of sections, whatever the order in which they came (promise 2), and only the neighbourhood of a change is done again.
struct VolumePlan {
  /// How far, in places of the stack, a result looks.
  struct Reach: Equatable {
    /// R: the affinities of a section depend on so many sections on each side.
    var context: Int
    /// W and L of the agglomeration window.
    var behind: Int
    var ahead: Int
  }

  let reach: Reach
  /// Present sections in z order: the stack.
  private(set) var stack: [SectionNumber] = []
  private(set) var sources: [SectionNumber: String] = [:]
  private var missing: Set<SectionNumber> = []
  /// Set when the operator says that nothing comes above this section.
  private(set) var lastZ: SectionNumber?
  /// Content of the decision that the database's final rows rest on.
  private var committed: [SectionNumber: String] = [:]
  /// Present sections whose final rows are absent or rest on other content, ascending.
  private(set) var unsettled: [SectionNumber] = []
  private var affinityContents: [SectionNumber: String] = [:]

  init(reach: Reach) { self.reach = reach }

  // MARK: Changes

  /// Adds or replaces a section; `source` is the SHA-256 of its file.
  mutating func insert(_ z: SectionNumber, source: String) {
    if sources.updateValue(source, forKey: z) == nil { stack.insert(z, at: insertionPlace(z, in: stack)) }
    missing.remove(z)
    changed(around: z)
  }

  mutating func declareMissing(_ z: SectionNumber) {
    guard sources[z] == nil, missing.insert(z).inserted else { return }
    changed(around: z)
  }

  /// Leaves a present section out: as if it were missing, until it is inserted again.
  mutating func setAside(_ z: SectionNumber) {
    if let place = place(of: z) {
      stack.remove(at: place)
      let index = insertionPlace(z, in: unsettled)
      if index < unsettled.count, unsettled[index] == z { unsettled.remove(at: index) }
    }
    sources[z] = nil
    committed[z] = nil
    affinityContents[z] = nil
    missing.insert(z)
    changed(around: z)
  }

  mutating func finish(at z: SectionNumber?) {
    lastZ = z
    if let top = stack.last { changed(around: top) }
  }

  /// Notes that the database has final rows for `z` that rest on `content`.
  mutating func noteCommitted(_ z: SectionNumber, content: String) {
    committed[z] = content
    if let place = place(of: z) { refresh(place) }
  }

  private mutating func changed(around z: SectionNumber) {
    let span = reach.context + max(reach.behind, reach.ahead) + 1
    let middle = insertionPlace(z, in: stack)
    let near = max(0, middle - span)..<min(stack.count, middle + span + 1)
    for place in near { affinityContents[stack[place]] = nil }
    for place in near { refresh(place) }
  }

  private mutating func refresh(_ place: Int) {
    let z = stack[place]
    let isSettled = committed[z].map { $0 == decisionContent(place) } ?? false
    let index = insertionPlace(z, in: unsettled)
    let isListed = index < unsettled.count && unsettled[index] == z
    if isSettled, isListed { unsettled.remove(at: index) }
    if !isSettled, !isListed { unsettled.insert(z, at: index) }
  }

  // MARK: Places

  func place(of z: SectionNumber) -> Int? {
    let index = insertionPlace(z, in: stack)
    return index < stack.count && stack[index] == z ? index : nil
  }

  /// Number of sections missing between a place and the one below it; nil at the bottom.
  func gapBelow(_ place: Int) -> Int? { place == 0 ? nil : Int(stack[place] - stack[place - 1]) - 1 }

  /// The places within `below` and `above` of a place that exist.
  func window(_ place: Int, below: Int, above: Int) -> Range<Int> {
    max(0, place - below)..<min(stack.count, place + above + 1)
  }

  /// Neighbouring sections that are neither here nor declared missing, between present ones.
  struct Hole: Equatable {
    var sections: ClosedRange<SectionNumber>
    /// The present sections below and above it.
    var below: SectionNumber
    var above: SectionNumber
  }

  /// The most sections of a hole that are declared missing without being named one by one: beyond it a number is more likely wrong.
  static let largestHole = 1000

  /// What is waited for, in z order. The time does not depend on how large a hole is: one wrong number makes it a billion.
  func holes() -> [Hole] { stack.indices.flatMap(holes(below:)) }

  private func holes(below place: Int) -> [Hole] {
    guard let gap = gapBelow(place), gap > 0 else { return [] }
    let below = stack[place - 1]
    let above = stack[place]
    let declared =
      gap <= missing.count
      ? (below + 1..<above).filter(missing.contains) : missing.filter { below < $0 && $0 < above }.sorted()
    var found: [Hole] = []
    var next = below + 1
    for z in declared + [above] {
      if next < z { found.append(Hole(sections: next...z - 1, below: below, above: above)) }
      next = z + 1
    }
    return found
  }

  private func isClosed(below place: Int) -> Bool {
    guard let gap = gapBelow(place), gap > 0 else { return true }
    return gap <= missing.count && (stack[place - 1] + 1..<stack[place]).allSatisfy(missing.contains)
  }

  private var isTopClosed: Bool {
    guard let lastZ, let top = stack.last else { return false }
    return top >= lastZ || (top + 1...lastZ).allSatisfy(missing.contains)
  }

  /// Whether all sections within `below` and `above` places are known for good.
  private func isClosed(_ place: Int, below: Int, above: Int) -> Bool {
    let range = window(place, below: below, above: above)
    guard place + above < stack.count || isTopClosed else { return false }
    return range.dropFirst().allSatisfy(isClosed(below:))
  }

  // MARK: Contents

  /// Hash of the sections that the affinities of a place depend on.
  mutating func affinityContent(_ place: Int) -> String {
    let z = stack[place]
    if let known = affinityContents[z] { return known }
    let range = window(place, below: reach.context, above: reach.context)
    let parts = range.map { ($0 == place ? "*" : "") + (sources[stack[$0]] ?? "") }
    let content = contentHash("affinity|" + parts.joined(separator: "|"))
    affinityContents[z] = content
    return content
  }

  /// Hash of what the fragments and edges of a place depend on: its affinities, and the fragments below.
  mutating func graphContent(_ place: Int) -> String {
    Self.graphContent(
      affinity: affinityContent(place), below: place > 0 ? affinityContent(place - 1) : nil, gap: gapBelow(place))
  }

  static func graphContent(affinity: String, below: String?, gap: Int?) -> String {
    contentHash("graph|\(affinity)|\(below ?? "bottom")|\(gap ?? -1)")
  }

  /// Hash of what the decision on the edges of a place depends on.
  mutating func decisionContent(_ place: Int) -> String {
    let parts = window(place, below: reach.behind, above: reach.ahead).map {
      ($0 == place ? "*" : "") + graphContent($0)
    }
    return contentHash("decision|" + parts.joined(separator: "|"))
  }

  // MARK: Readiness

  /// The affinities, and with them fragments and edges, will not change unless the set of sections does.
  func isGraphFinal(_ place: Int) -> Bool { isClosed(place, below: reach.context + 1, above: reach.context) }

  /// The same of the decision on the section's edges.
  func isDecisionFinal(_ place: Int) -> Bool {
    isClosed(place, below: reach.context + reach.behind + 1, above: reach.context + reach.ahead)
  }

  /// The next places to commit as final, in one transaction. One place where nothing is replaced; all neighbouring changed
  /// places where final rows are. Empty when no place is ready.
  func nextCommit() -> [Int] {
    var group: [Int] = []
    var replaces = false
    for z in unsettled {
      guard let place = place(of: z), isDecisionFinal(place) else {
        if group.isEmpty { continue } else { break }
      }
      if let last = group.last, place != last + 1 { break }
      group.append(place)
      replaces = replaces || committed[z] != nil
      // A change reaches no further than this, so what replaces nothing within it is an extension.
      if !replaces, group.count > reach.context + max(reach.behind, reach.ahead) + 1 { break }
    }
    return replaces ? group : Array(group.prefix(1))
  }

  /// Present sections that have never had final rows.
  func isNew(_ z: SectionNumber) -> Bool { committed[z] == nil }
}

/// Where `z` stands or would stand in an ascending array.
private func insertionPlace(_ z: SectionNumber, in array: [SectionNumber]) -> Int {
  var low = 0
  var high = array.count
  while low < high {
    let middle = (low + high) / 2
    if array[middle] < z { low = middle + 1 } else { high = middle }
  }
  return low
}
