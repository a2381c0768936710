import CKernels
public import Domain

/// The section below, as the region graph needs it.
public struct PreviousSection: Sendable {
  public var fragments: FragmentSection
  public var z: SectionNumber
  public var signature: UInt32
  public init(fragments: FragmentSection, z: SectionNumber, signature: UInt32) {
    self.fragments = fragments
    self.z = z
    self.signature = signature
  }
}

/// Some rows of a section, as the region graph reads it; all arrays row by row.
public struct SectionBand: Sendable {
  public var labels: [UInt32]
  public var z: [UInt8]
  public var y: [UInt8]
  public var x: [UInt8]
  public init(labels: [UInt32], z: [UInt8], y: [UInt8], x: [UInt8]) {
    self.labels = labels
    self.z = z
    self.y = y
    self.x = x
  }
}

/// A section that is read some rows at a time.
public struct BandedSection {
  public var height: Int
  public var width: Int
  /// Number of fragments.
  public var count: Int
  /// Rows of a band.
  public var rows: Int
  /// Called for each band in turn, twice.
  public var band: (Range<Int>) throws -> SectionBand
  public init(height: Int, width: Int, count: Int, rows: Int, band: @escaping (Range<Int>) throws -> SectionBand) {
    self.height = height
    self.width = width
    self.count = count
    self.rows = rows
    self.band = band
  }
}

/// The section below, read some rows at a time.
public struct BandedPrevious {
  public var z: SectionNumber
  public var signature: UInt32
  public var height: Int
  public var width: Int
  /// Number of fragments.
  public var count: Int
  public var labels: (Range<Int>) throws -> [UInt32]
  public init(
    z: SectionNumber, signature: UInt32, height: Int, width: Int, count: Int,
    labels: @escaping (Range<Int>) throws -> [UInt32]
  ) {
    self.z = z
    self.signature = signature
    self.height = height
    self.width = width
    self.count = count
    self.labels = labels
  }
}

/// Makes the region graph of one section: which fragments touch, and the affinities over each contact.
///
/// Within the section fragments touch by the y and x affinities, and those of the section below by the z affinity, at
/// pixels where both have a label other than 0. Contacts are collected as sort keys and added up after a radix sort:
/// the time is linear in the pixels. A section may come some rows at a time; the graph is the same.
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
    let (own, summaries) = try contactsWithin(section, z: z, signature: signature)
    var edges: [RegionEdge] = []
    if let previous {
      edges = try contactsBetween(previous, section, z: z, signature: signature, gapConfidence: gapConfidence)
    }
    // Ids order by z first: every contact with the section below comes before those within.
    edges += own
    let ids = summaries.map { FragmentID(z: z, signature: signature, label: $0.label) }
    return (SectionGraph(z: z, fragments: ids, areas: summaries.map(\.area), edges: edges), summaries)
  }

  /// Area, box and centroid of each label 1...count.
  public static func summarise(_ fragments: FragmentSection) -> [FragmentSummary] {
    var raw = [post_summary](repeating: post_summary(), count: fragments.count)
    let labels = fragments.labels
    labels.storage.withUnsafeBufferPointer {
      post_summarise($0.baseAddress, 0, labels.height, labels.width, &raw)
    }
    return summaries(raw)
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
    guard let previous else { return }
    guard previous.z < z && previous.height == section.height && previous.width == section.width else {
      throw StageError(
        stage: stage,
        reason: "section \(previous.z) of \(previous.height) x \(previous.width) cannot lie below section \(z) of "
          + "\(section.height) x \(section.width).")
    }
  }

  /// That no label is above the count: what is counted would be of others.
  private static func check(_ labels: [UInt32], count: Int, z: SectionNumber) throws(StageError) {
    let largest = labels.withUnsafeBufferPointer { post_largest_label($0.baseAddress, $0.count) }
    guard largest <= count && count <= FragmentID.maximumLabel else {
      throw StageError(
        stage: stage,
        reason: "section \(z) has label \(largest) but \(count) fragments, of at most \(FragmentID.maximumLabel).")
    }
  }

  private static func bands(_ section: BandedSection) -> [Range<Int>] {
    stride(from: 0, to: section.height, by: max(1, section.rows)).map {
      $0..<min($0 + max(1, section.rows), section.height)
    }
  }

  private static func contactsWithin(
    _ section: BandedSection, z: SectionNumber, signature: UInt32
  ) throws -> (edges: [RegionEdge], summaries: [FragmentSummary]) {
    var raw = [post_summary](repeating: post_summary(), count: section.count)
    let width = section.width
    let edges = try edges(section, most: section.count, below: (z, signature), above: (z, signature)) { collector in
      var before: [UInt32]?
      for rows in bands(section) {
        let band = try section.band(rows)
        try check(band.labels, count: section.count, z: z)
        post_summarise(band.labels, rows.lowerBound, rows.count, width, &raw)
        let status =
          if let before {
            post_collect_within(collector, band.labels, before, band.y, band.x, rows.count, width)
          } else {
            post_collect_within(collector, band.labels, nil, band.y, band.x, rows.count, width)
          }
        guard status == 0 else { throw StageError.memory(stage, height: section.height, width: width) }
        if rows.upperBound < section.height { before = Array(band.labels.suffix(width)) }
      }
    }
    return (edges, summaries(raw))
  }

  private static func contactsBetween(
    _ previous: BandedPrevious, _ section: BandedSection, z: SectionNumber, signature: UInt32, gapConfidence: Double
  ) throws -> [RegionEdge] {
    let most = max(section.count, previous.count)
    let table = (0...255).map { UInt8((Double($0) * gapConfidence).rounded()) }
    let below = (previous.z, previous.signature)
    return try edges(section, most: most, below: below, above: (z, signature)) { collector in
      for rows in bands(section) {
        let band = try section.band(rows)
        let labels = try previous.labels(rows)
        try check(labels, count: previous.count, z: previous.z)
        let status = post_collect_between(collector, labels, band.labels, band.z, table, labels.count)
        guard status == 0 else { throw StageError.memory(stage, height: section.height, width: section.width) }
      }
    }
  }

  private static func bitsHolding(_ label: Int) -> Int { max(1, Int.bitWidth - label.leadingZeroBitCount) }

  /// Collects contacts and turns them, sorted by (a, b, affinity), into edges.
  /// - Parameter most: no label is larger.
  private static func edges(
    _ section: BandedSection, most: Int, below: (z: SectionNumber, signature: UInt32),
    above: (z: SectionNumber, signature: UInt32), _ collect: (OpaquePointer) throws -> Void
  ) throws -> [RegionEdge] {
    let bits = bitsHolding(most)
    guard let collector = post_collector_make(section.height * section.width, Int32(bits)) else {
      throw StageError.memory(stage, height: section.height, width: section.width)
    }
    do { try collect(collector) } catch {
      post_collector_free(collector)
      throw error
    }
    var contacts: UnsafeMutablePointer<post_contact>?
    var count = 0
    guard post_collector_finish(collector, &contacts, &count) == 0 else {
      throw StageError.memory(stage, height: section.height, width: section.width)
    }
    defer { post_free(contacts) }
    return edges(UnsafeBufferPointer(start: contacts, count: count), bits: bits, below: below, above: above)
  }

  private static func edges(
    _ all: UnsafeBufferPointer<post_contact>, bits: Int, below: (z: SectionNumber, signature: UInt32),
    above: (z: SectionNumber, signature: UInt32)
  ) -> [RegionEdge] {
    let mask = UInt64(1) << UInt64(bits) - 1
    var edges: [RegionEdge] = []
    var start = 0
    while start < all.count {
      let pair = all[start].key >> 8
      var end = start + 1
      while end < all.count && all[end].key >> 8 == pair { end += 1 }
      var histogram = AffinityHistogram()
      histogram.bins.reserveCapacity(end - start)
      histogram.counts.reserveCapacity(end - start)
      for contact in all[start..<end] {
        histogram.bins.append(UInt8(truncatingIfNeeded: contact.key))
        histogram.counts.append(UInt32(clamping: contact.count))
      }
      let a = FragmentID(z: below.z, signature: below.signature, label: UInt32(pair >> UInt64(bits)))
      let b = FragmentID(z: above.z, signature: above.signature, label: UInt32(pair & mask))
      edges.append(RegionEdge(a: a, b: b, histogram: histogram))
      start = end
    }
    return edges
  }
}
