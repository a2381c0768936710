import DB
import Domain
import Foundation
import Plugins
import Volumes

/// Fragments of a labelled stack of sections, their region graphs, and the pixels each fragment shares with each true
/// object: what is needed to score an agglomeration without looking at pixels again.
struct LabelledStack {
  private(set) var graphs: [SectionGraph] = []
  /// Pixels by true label and fragment id.
  private var pixels = Contingency()
  /// Number of the first fragment of each section, counted through the stack.
  private var first: [SectionNumber: Int] = [:]
  private var count = 0
  private static let signature: UInt32 = 1

  /// Fragments of the stored affinities of all sections that have labels.
  /// - Parameter firstZ: section of the labels' first plane; nil: the volume's first section.
  /// - Throws: an `OperatorError` if no section has both, or shapes differ; what reading and the stages throw.
  init(
    _ segmented: SegmentedVolume, truth: LabelSource, firstZ: SectionNumber?, watershed: SeededWatershed,
    gapConfidence: Double
  ) throws {
    let lowest = firstZ ?? segmented.sections.first?.z ?? 0
    var previous: PreviousSection?
    for section in segmented.sections {
      let index = Int(section.z - lowest)
      guard index >= 0, index < truth.count, let file = section.file else { continue }
      guard let affinities = try segmented.store.read(file, parts: [.affinities]).affinities else {
        throw OperatorError("section \(section.z) has no stored affinities", status: .noInput)
      }
      guard affinities.height == truth.height, affinities.width == truth.width else {
        throw OperatorError(
          "the labels have planes of \(truth.height) x \(truth.width), section \(section.z) of \(affinities.height) x "
            + "\(affinities.width)", status: .badData)
      }
      let fragments = try watershed.fragments(of: affinities)
      let gap = previous.map { Double(section.z - $0.z - 1) } ?? 0
      let graph = try RegionGraphBuilder.graph(
        z: section.z, signature: Self.signature, fragments: fragments, affinities: affinities, previous: previous,
        gapConfidence: pow(gapConfidence, gap))
      graphs.append(graph.graph)
      first[section.z] = count
      count += fragments.count
      add(fragments, z: section.z, truth: try truth.plane(index))
      previous = PreviousSection(fragments: fragments, z: section.z, signature: Self.signature)
    }
    guard !graphs.isEmpty else {
      throw OperatorError("the labels and the volume have no section in common; see --first-z", status: .badData)
    }
  }

  private mutating func add(_ fragments: FragmentSection, z: SectionNumber, truth: Plane<UInt64>) {
    let base = UInt64(first[z] ?? 0)
    // Label 0 (dropped fragments) stays 0; fragment i of the stack is i + 1.
    let found = Plane(
      height: truth.height, width: truth.width,
      storage: fragments.labels.storage.map { $0 == 0 ? 0 : base + UInt64($0) })
    pixels.addSection(truth: truth, found: found)
  }

  /// Pixels by true label and segment, as `stage` joins the fragments: section by section, or all at once.
  func contingency(_ stage: Agglomerator, atOnce: Bool) throws(StageError) -> Contingency {
    let decisions = try atOnce ? stage.agglomerateAll(graphs) : stage.agglomerate(graphs)
    var segments = UnionFind(count: count + 1)
    for (graph, decided) in zip(graphs, decisions) {
      for (edge, decision) in zip(graph.edges, decided) where decision.accepted {
        segments.union(number(edge.a), number(edge.b))
      }
    }
    return pixels.relabelled { UInt64(segments.find(Int($0))) }
  }

  private func number(_ fragment: FragmentID) -> Int { (first[fragment.z] ?? 0) + Int(fragment.label) }
}
