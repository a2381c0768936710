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

/// Makes the region graph of one section: which fragments touch, and the affinities over each contact.
///
/// Within the section fragments touch by the y and x affinities, and those of the section below by the z affinity, at
/// pixels where both have a label other than 0. Contacts are collected as sort keys and added up after a radix sort:
/// the time is linear in the pixels.
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
    try check(z: z, fragments, affinities, previous, gapConfidence)
    let own = try contactsWithin(fragments, affinities, z: z, signature: signature)
    var edges: [RegionEdge] = []
    if let previous {
      edges = try contactsBetween(
        previous, fragments, affinities.z, z: z, signature: signature, gapConfidence: gapConfidence)
    }
    // Ids order by z first: every contact with the section below comes before those within.
    edges += own
    let summaries = summarise(fragments)
    let ids = summaries.map { FragmentID(z: z, signature: signature, label: $0.label) }
    return (SectionGraph(z: z, fragments: ids, areas: summaries.map(\.area), edges: edges), summaries)
  }

  /// Area, box and centroid of each label 1...count.
  public static func summarise(_ fragments: FragmentSection) -> [FragmentSummary] {
    let raw = [post_summary](unsafeUninitializedCapacity: fragments.count) { buffer, count in
      fragments.labels.storage.withUnsafeBufferPointer {
        post_summarise(
          $0.baseAddress, fragments.labels.height, fragments.labels.width, buffer.baseAddress, UInt32(fragments.count))
      }
      count = fragments.count
    }
    return raw.enumerated().map { index, one in
      let area = Double(max(one.area, 1))
      return FragmentSummary(
        label: UInt32(index + 1), area: Int(one.area), minY: Int32(one.min_y), minX: Int32(one.min_x),
        maxY: Int32(one.max_y), maxX: Int32(one.max_x), centroidY: Double(one.sum_y) / area,
        centroidX: Double(one.sum_x) / area)
    }
  }

  private static func check(
    z: SectionNumber, _ fragments: FragmentSection, _ affinities: AffinitySection, _ previous: PreviousSection?,
    _ gapConfidence: Double
  ) throws(StageError) {
    let labels = fragments.labels
    guard labels.height == affinities.height && labels.width == affinities.width else {
      throw StageError(
        stage: stage,
        reason: "section \(z) has fragments of \(labels.height) x \(labels.width) but affinities of "
          + "\(affinities.height) x \(affinities.width).")
    }
    guard gapConfidence >= 0 && gapConfidence <= 1 else {
      throw StageError(stage: stage, reason: "the confidence across a gap is \(gapConfidence); it must be 0 to 1.")
    }
    try check(fragments, z)
    guard let previous else { return }
    try check(previous.fragments, previous.z)
    let below = previous.fragments.labels
    guard previous.z < z && below.height == labels.height && below.width == labels.width else {
      throw StageError(
        stage: stage,
        reason: "section \(previous.z) of \(below.height) x \(below.width) cannot lie below section \(z) of "
          + "\(labels.height) x \(labels.width).")
    }
  }

  private static func check(_ fragments: FragmentSection, _ z: SectionNumber) throws(StageError) {
    let largest = fragments.labels.storage.withUnsafeBufferPointer { post_largest_label($0.baseAddress, $0.count) }
    guard largest <= fragments.count && fragments.count <= FragmentID.maximumLabel else {
      throw StageError(
        stage: stage,
        reason: "section \(z) has label \(largest) but \(fragments.count) fragments, of at most "
          + "\(FragmentID.maximumLabel).")
    }
  }

  private static func contactsWithin(
    _ fragments: FragmentSection, _ affinities: AffinitySection, z: SectionNumber, signature: UInt32
  ) throws(StageError) -> [RegionEdge] {
    let bits = bitsHolding(fragments.count)
    return try edges(bits: bits, fragments.labels, below: (z, signature), above: (z, signature)) { out, count in
      fragments.labels.storage.withUnsafeBufferPointer { labels in
        affinities.y.storage.withUnsafeBufferPointer { y in
          affinities.x.storage.withUnsafeBufferPointer { x in
            post_contacts_within(
              labels.baseAddress, y.baseAddress, x.baseAddress, fragments.labels.height, fragments.labels.width,
              Int32(bits), &out, &count)
          }
        }
      }
    }
  }

  private static func contactsBetween(
    _ previous: PreviousSection, _ fragments: FragmentSection, _ affinity: Plane<UInt8>, z: SectionNumber,
    signature: UInt32, gapConfidence: Double
  ) throws(StageError) -> [RegionEdge] {
    let bits = bitsHolding(max(fragments.count, previous.fragments.count))
    let table = (0...255).map { UInt8((Double($0) * gapConfidence).rounded()) }
    let below = (previous.z, previous.signature)
    return try edges(bits: bits, fragments.labels, below: below, above: (z, signature)) { out, count in
      previous.fragments.labels.storage.withUnsafeBufferPointer { below in
        fragments.labels.storage.withUnsafeBufferPointer { labels in
          affinity.storage.withUnsafeBufferPointer { affinity in
            post_contacts_between(
              below.baseAddress, labels.baseAddress, affinity.baseAddress, table, labels.count, Int32(bits), &out,
              &count)
          }
        }
      }
    }
  }

  private static func bitsHolding(_ label: Int) -> Int { max(1, Int.bitWidth - label.leadingZeroBitCount) }

  /// Collects contacts and turns them, sorted by (a, b, affinity), into edges.
  private static func edges(
    bits: Int, _ shape: Plane<UInt32>, below: (z: SectionNumber, signature: UInt32),
    above: (z: SectionNumber, signature: UInt32),
    _ collect: (inout UnsafeMutablePointer<post_contact>?, inout Int) -> Int32
  ) throws(StageError) -> [RegionEdge] {
    var contacts: UnsafeMutablePointer<post_contact>?
    var count = 0
    guard collect(&contacts, &count) == 0 else {
      throw StageError.memory(stage, height: shape.height, width: shape.width)
    }
    defer { post_free(contacts) }
    let all = UnsafeBufferPointer(start: contacts, count: count)
    let mask = UInt64(1) << UInt64(bits) - 1
    var edges: [RegionEdge] = []
    var start = 0
    while start < count {
      let pair = all[start].key >> 8
      var end = start + 1
      while end < count && all[end].key >> 8 == pair { end += 1 }
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
