public import Domain

/// What is computed of one section. Everything but `z` and the attributes may be absent, as stages may be turned off.
public struct SectionProducts: Sendable, Equatable {
  public var z: SectionNumber
  /// The image the network saw (after denoising), 8 bit.
  public var image: Plane<UInt8>?
  /// The source's pixels at 16 bit, where it has that many.
  public var image16: Plane<UInt16>?
  public var affinities: AffinitySection?
  public var fragments: FragmentSection?
  public var graph: SectionGraph?
  public var summaries: [FragmentSummary]?
  /// Provenance. A text's trailing NULs are not kept.
  public var attributes: [String: String]

  public init(
    z: SectionNumber, image: Plane<UInt8>? = nil, image16: Plane<UInt16>? = nil, affinities: AffinitySection? = nil,
    fragments: FragmentSection? = nil, graph: SectionGraph? = nil, summaries: [FragmentSummary]? = nil,
    attributes: [String: String] = [:]
  ) {
    self.z = z
    self.image = image
    self.image16 = image16
    self.affinities = affinities
    self.fragments = fragments
    self.graph = graph
    self.summaries = summaries
    self.attributes = attributes
  }
}

/// Parts of a section file to read. `z` and the attributes always are.
public struct SectionParts: OptionSet, Sendable {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public static let image = SectionParts(rawValue: 1)
  public static let affinities = SectionParts(rawValue: 2)
  public static let fragments = SectionParts(rawValue: 4)
  public static let graph = SectionParts(rawValue: 8)
  public static let summaries = SectionParts(rawValue: 16)
  /// `AffinitySection.coarse`; only with `.affinities`.
  public static let coarse = SectionParts(rawValue: 32)
  public static let all: SectionParts = [.image, .affinities, .coarse, .fragments, .graph, .summaries]
}
