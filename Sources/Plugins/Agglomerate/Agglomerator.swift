import CKernels
public import Domain

/// Joins fragments over a window of sections, greedily, with waterz's scores.
///
/// Clusters start as the window's fragments. While there is one above the threshold, the pair of touching clusters with
/// the highest score is joined. The contact of two clusters is the union of the edges between their fragments: scored
/// by its mean affinity, or by a quantile of its affinities in 256 bins. With `initialiseWithMaximum` each edge counts
/// once, by its largest affinity: the mean is that of the edges' largest. The order is total:
///
/// 1. the higher score, taken from the contact as it is at that moment (waterz scores late; this does not);
/// 2. of equal scores, the contact whose first edge (least a, then least b, of the edges it is made of) is first.
///
/// An edge is accepted if its two ends are in one cluster at the end. A quantile's score is the middle of its bin,
/// (bin + 1/2) / 256, as waterz has it; a mean is a double, rounded once.
/// With `dustSize`, a pair is also joined above `dustThreshold` while one of the two has fewer pixels in the window.
///
/// Segments are the union over decisions of many windows. Each window errs in its own way, and the union has the false
/// merges of all of them. So a section is decided by three windows, and an edge is accepted if all three accept it:
/// `agreementShift` (k) sections apart, they cover s-W ... s+L-k, s-W+k/2 ... s+L-k/2 and s-W+k ... s+L. When sections are
/// decided one after the other, each of these windows is one of three sections, and is computed once. On 20 sections
/// of `ac4` with the affinities of a half-trained network (quantile 75 of maxima, threshold 0.7) all at once had VOI 0.793,
/// one window of 8 and 8 sections 0.902, three of them 4 apart 0.805. With better affinities all three were within 0.01.
public struct Agglomerator: AgglomerateStage {
  public let options: AgglomeratorOptions
  private let memo: WindowMemo

  /// - Throws: a sentence, if an option is out of its range.
  public init(_ options: AgglomeratorOptions = AgglomeratorOptions()) throws(StageError) {
    try options.validate()
    self.options = options
    // In steady state as many as the agreement shift are waiting.
    memo = WindowMemo(capacity: 3 * (options.agreementShift + 1))
  }

  public var name: String { AgglomeratorOptions.stage }
  public var fingerprint: String { options.fingerprint }
  public var lookBehind: Int { options.lookBehind }
  public var lookAhead: Int { options.lookAhead }

  /// Sections further from the decided ones than `lookBehind` and `lookAhead` are not looked at even if given. Where the
  /// stack ends, so do the windows. Edges of a window's first section to below it are only looked at if that section is
  /// decided; the fragments below then count as having no pixels and no other contacts.
  ///
  /// The score of an accepted edge is the least of the three windows; of another, the least of those that refused it.
  /// - Throws: if the window is not in z order, edges are not of its fragments, or memory ran out.
  public func decide(_ decided: Range<Int>, in window: [SectionGraph]) throws(StageError) -> [[EdgeDecision]] {
    guard decided.lowerBound >= 0 && decided.upperBound <= window.count else {
      throw StageError(stage: name, reason: "sections \(decided) of a window of \(window.count) were asked for.")
    }
    guard !decided.isEmpty else { return [] }
    var agreed: [[EdgeDecision]]?
    for one in windows(around: decided, count: window.count) {
      let here = try decide(decided, in: window, one)
      agreed = agreed.map { zip($0, here).map { zip($0, $1).map(Self.agree) } } ?? here
    }
    return agreed ?? []
  }

  /// Decides on everything at once, without a window: what the windowed decisions are measured against.
  public func agglomerateAll(_ stack: [SectionGraph]) throws(StageError) -> [[EdgeDecision]] {
    try decideAtOnce(Array(stack.indices), in: stack)
  }

  /// Decides on each section of a whole stack by its own windows, as the daemon does one by one.
  public func agglomerate(_ stack: [SectionGraph]) throws(StageError) -> [[EdgeDecision]] {
    var out: [[EdgeDecision]] = []
    for index in stack.indices {
      let first = max(0, index - lookBehind)
      let window = stack[first..<min(stack.count, index + lookAhead + 1)]
      let here = index - first
      out += try decide(here..<here + 1, in: Array(window))
    }
    return out
  }

  /// One of the windows that must agree.
  private struct Window {
    var range: Range<Int>
    /// Sections that it lies above the lowest of them.
    var offset: Int
  }

  /// Sections that the windows of a section lie above the lowest of them.
  private var offsets: [Int] {
    // Every window has the decided sections, and one below them where W allows.
    let shift = max(0, min(options.agreementShift, lookBehind - 1, lookAhead))
    return [0, shift / 2, shift]
  }

  /// The windows that must agree, clipped to the sections there are, each once.
  private func windows(around decided: Range<Int>, count: Int) -> [Window] {
    var out: [Window] = []
    for offset in offsets {
      let lower = max(0, decided.lowerBound - lookBehind + offset)
      let upper = min(count, decided.upperBound + lookAhead - offsets[2] + offset)
      if !out.contains(where: { $0.range == lower..<upper }) {
        out.append(Window(range: lower..<upper, offset: offset))
      }
    }
    return out
  }

  /// Decisions of one window on the edges of `decided`: known from a section below, or made now.
  private func decide(
    _ decided: Range<Int>, in sections: [SectionGraph], _ window: Window
  ) throws(StageError) -> [[EdgeDecision]] {
    let here = decided.map { $0 - window.range.lowerBound }
    let graphs = Array(sections[window.range])
    // Whatever has nothing above it will be decided in another window as soon as there is something.
    guard here.count == 1 && here[0] < graphs.count - 1 else { return try decideAtOnce(here, in: graphs) }
    let key = WindowMemo.Key(sections: graphs.map(\.identity), keepEdgesBelow: here[0] == 0)
    if let known = memo.decisions(key, section: here[0], last: window.offset == 0) { return [known] }
    let later = window.offset == 0 ? [] : laterSections(in: graphs.count, above: here[0])
    let all = here + later
    let decisions = try decideAtOnce(all, in: graphs)
    if !later.isEmpty { memo.insert(key, Dictionary(uniqueKeysWithValues: zip(all, decisions).dropFirst())) }
    return [decisions[0]]
  }

  /// Sections of a window of `count` that will ask for it after section `here` has: places counted from below, and from
  /// above for windows that are clipped below.
  private func laterSections(in count: Int, above here: Int) -> [Int] {
    var out: [Int] = []
    for offset in offsets {
      for place in [lookBehind - offset, count - 1 - lookAhead + offsets[2] - offset]
      where place > here && place < count && !out.contains(place) { out.append(place) }
    }
    return out
  }

  private static func agree(_ one: EdgeDecision, _ other: EdgeDecision) -> EdgeDecision {
    guard one.accepted == other.accepted else { return one.accepted ? other : one }
    return EdgeDecision(accepted: one.accepted, score: min(one.score, other.score))
  }

  /// Greedy joining over all of `window`; decisions on the edges of the sections `decided`.
  private func decideAtOnce(_ decided: [Int], in window: [SectionGraph]) throws(StageError) -> [[EdgeDecision]] {
    let graph = try WindowGraph(
      window, keepEdgesBelow: decided.contains(0), maximaOnly: options.initialiseWithMaximum, stage: name)
    var accepted = [UInt8](repeating: 0, count: graph.a.count)
    var scores = [Float](repeating: 0, count: graph.a.count)
    var parameters = post_agglomerate_options(
      use_quantile: options.scoring == .quantile ? 1 : 0, quantile: Int32(options.quantile),
      init_with_max: options.initialiseWithMaximum ? 1 : 0, threshold: options.threshold,
      dust_size: UInt64(options.dustSize), dust_threshold: options.dustThreshold)
    let status = post_agglomerate(
      graph.areas.count, graph.areas, graph.a.count, graph.a, graph.b, graph.start, graph.bins, graph.counts,
      &parameters, &accepted, &scores)
    guard status == 0 else {
      throw StageError(
        stage: name, reason: "no memory for \(graph.a.count) edges; lower look_behind or look_ahead.")
    }
    return decided.map { section in
      graph.edges[section].map { EdgeDecision(accepted: accepted[$0] != 0, score: scores[$0]) }
    }
  }
}
