import CKernels
public import Domain

/// Makes the region graph of one section: which fragments touch, and the affinities over each contact.
///
/// Within the section fragments touch by the y and x affinities, and those of the section below by the z affinity, at
/// pixels where both have a label other than 0. Contacts are counted in one pass over the pixels. A section may come
/// some rows at a time; the graph is the same.
public enum RegionGraphBuilder {
  static let stage = "region graph"

  /// - Parameters:
  ///   - signature: the 22 bits that go into the fragments' ids.
  ///   - previous: the nearest present section below; nil for the first of a stack.
  ///   - gapConfidence: factor 0...1 on the z affinities, below 1 where sections are missing between the two.
  /// - Returns: the graph, edges sorted by (a, b), and one summary for each label 1...count.
  /// - Throws: if shapes differ, a label is above the count, or `previous` is not below.
  public static func graph(
    z: SectionNumber, signature: UInt32, fragments: FragmentSection, affinities: AffinitySection,
    previous: PreviousSection?, gapConfidence: Double = 1
  ) throws(StageError) -> (graph: SectionGraph, summaries: [FragmentSummary]) {
    let labels = fragments.labels
    guard labels.height == affinities.height && labels.width == affinities.width else {
      throw StageError(
        stage: stage,
        reason: "section \(z) has fragments of \(labels.height) x \(labels.width) but affinities of "
          + "\(affinities.height) x \(affinities.width).")
    }
    let band = SectionBand(
      labels: labels.storage, z: affinities.z.storage, y: affinities.y.storage, x: affinities.x.storage)
    let section = BandedSection(
      height: labels.height, width: labels.width, count: fragments.count, rows: labels.height
    ) { _ in band }
    let below = previous.map { previous in
      BandedPrevious(
        z: previous.z, signature: previous.signature, height: previous.fragments.labels.height,
        width: previous.fragments.labels.width, count: previous.fragments.count
      ) { _ in previous.fragments.labels.storage }
    }
    do {
      return try graph(z: z, signature: signature, section: section, previous: below, gapConfidence: gapConfidence)
    } catch let error as StageError {
      throw error
    } catch {
      preconditionFailure("planes in memory cannot fail: \(error)")
    }
  }

  /// The same of a section that does not fit the memory.
  /// - Throws: also what reading a band throws.
  public static func graph(
    z: SectionNumber, signature: UInt32, section: BandedSection, previous: BandedPrevious?, gapConfidence: Double = 1
  ) throws -> (graph: SectionGraph, summaries: [FragmentSummary]) {
    try check(z: z, section, previous, gapConfidence)
    guard let collector = post_collector_make() else { throw noMemory(section) }
    defer { post_collector_free(collector) }
    var raw = [post_summary](repeating: post_summary(), count: section.count)
    try collectWithin(collector, section, z: z, &raw)
    let own = try edges(collector, section, below: (z, signature), above: (z, signature))
    // Ids order by z first: every contact with the section below comes before those within.
    var edges = RegionEdges()
    if let previous {
      let table = (0...255).map { UInt8((Double($0) * gapConfidence).rounded()) }
      try collectBetween(collector, previous, section, table)
      edges = try self.edges(
        collector, section, below: (previous.z, previous.signature), above: (z, signature))
    }
    edges.append(contentsOf: own)
    let summaries = summaries(raw)
    let ids = summaries.map { FragmentID(z: z, signature: signature, label: $0.label) }
    return (SectionGraph(z: z, fragments: ids, areas: summaries.map(\.area), edges: edges), summaries)
  }

  private static func summaries(_ raw: [post_summary]) -> [FragmentSummary] {
    raw.enumerated().map { index, one in
      let area = Double(max(one.area, 1))
      return FragmentSummary(
        label: UInt32(index + 1), area: Int(one.area), minY: Int32(one.min_y), minX: Int32(one.min_x),
        maxY: Int32(one.max_y), maxX: Int32(one.max_x), centroidY: Double(one.sum_y) / area,
        centroidX: Double(one.sum_x) / area)
    }
  }

  private static func check(
    z: SectionNumber, _ section: BandedSection, _ previous: BandedPrevious?, _ gapConfidence: Double
  ) throws(StageError) {
    guard gapConfidence >= 0 && gapConfidence <= 1 else {
      throw StageError(stage: stage, reason: "the confidence across a gap is \(gapConfidence); it must be 0 to 1.")
    }
    guard section.count <= FragmentID.maximumLabel && previous?.count ?? 0 <= FragmentID.maximumLabel else {
      throw StageError(
        stage: stage,
        reason: "section \(z) or the one below has more than \(FragmentID.maximumLabel) fragments; raise minimum_size.")
    }
    guard let previous else { return }
    guard previous.z < z && previous.height == section.height && previous.width == section.width else {
      throw StageError(
        stage: stage,
        reason: "section \(previous.z) of \(previous.height) x \(previous.width) cannot lie below section \(z) of "
          + "\(section.height) x \(section.width).")
    }
  }

  private static func noMemory(_ section: BandedSection) -> StageError {
    StageError.memory(stage, height: section.height, width: section.width)
  }

  /// Of a kernel that collects contacts.
  private static func check(_ status: Int32, _ section: BandedSection, count: Int, z: SectionNumber) throws(StageError)
  {
    switch status {
    case 0: return
    case -2:
      throw StageError(stage: stage, reason: "section \(z) has a label above the number of its fragments, \(count).")
    default: throw noMemory(section)
    }
  }

  private static func bands(_ section: BandedSection) -> [Range<Int>] {
    stride(from: 0, to: section.height, by: max(1, section.rows)).map {
      $0..<min($0 + max(1, section.rows), section.height)
    }
  }

  private static func collectWithin(
    _ collector: OpaquePointer, _ section: BandedSection, z: SectionNumber, _ summaries: inout [post_summary]
  ) throws {
    let width = section.width
    var above: [UInt32] = []
    for rows in bands(section) {
      let band = try section.band(rows)
      let status = above.withUnsafeBufferPointer { above in
        post_collect_within(
          collector, band.labels, above.isEmpty ? nil : above.baseAddress, band.y, band.x, rows.lowerBound, rows.count,
          width, &summaries, section.count)
      }
      try check(status, section, count: section.count, z: z)
      if rows.upperBound < section.height { above = Array(band.labels.suffix(width)) }
    }
  }

  /// - Parameter table: what becomes of each z affinity.
  private static func collectBetween(
    _ collector: OpaquePointer, _ previous: BandedPrevious, _ section: BandedSection, _ table: [UInt8]
  ) throws {
    for rows in bands(section) {
      let band = try section.band(rows)
      let labels = try previous.labels(rows)
      let status = post_collect_between(collector, labels, band.labels, band.z, table, labels.count, previous.count)
      try check(status, section, count: previous.count, z: previous.z)
    }
  }

  /// What was collected, sorted by (a, b).
  private static func edges(
    _ collector: OpaquePointer, _ section: BandedSection, below: (z: SectionNumber, signature: UInt32),
    above: (z: SectionNumber, signature: UInt32)
  ) throws(StageError) -> RegionEdges {
    var found = post_contacts()
    guard post_collector_finish(collector, &found) == 0 else { throw noMemory(section) }
    guard found.pairs > 0 else { return RegionEdges() }
    let pairs = UnsafeBufferPointer(start: found.pair, count: found.pairs)
    let edges = RegionEdges(
      a: pairs.map { FragmentID(z: below.z, signature: below.signature, label: UInt32($0 >> 32)) },
      b: pairs.map { FragmentID(z: above.z, signature: above.signature, label: UInt32(truncatingIfNeeded: $0)) },
      start: UnsafeBufferPointer(start: found.start, count: found.pairs + 1).map { Int($0) },
      bins: Array(UnsafeBufferPointer(start: found.bins, count: found.entries)),
      counts: Array(UnsafeBufferPointer(start: found.counts, count: found.entries)))
    guard let edges else { preconditionFailure("the kernel's \(found.pairs) contacts do not fit each other") }
    return edges
  }
}
