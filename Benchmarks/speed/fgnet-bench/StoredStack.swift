import Domain
import FGNetKernel
import Plugins
import Volumes

/// The stages after the network with the options of a weights file.
struct PostStages {
  let watershed: SeededWatershed
  let agglomerator: Agglomerator

  init(model path: String) throws {
    let defaults = try ModelDefaults(json: WeightsFile(path: path).postprocessing, source: path)
    func options<Options: StageOptions>(_ kind: StageKind, _: Options.Type) throws -> Options {
      let given = defaults.options(kind, named: Options.stage)
      return Options(try ResolvedOptions(given, table: Options.table, path: path))
    }
    watershed = try SeededWatershed(options(.watershed, SeededWatershedOptions.self))
    agglomerator = try Agglomerator(options(.agglomerate, AgglomeratorOptions.self))
  }
}

/// Affinities of all sections that a volume's store holds, in z order, and what is made of them.
struct StoredStack {
  let z: [SectionNumber]
  let affinities: [AffinitySection]
  /// Numbers fragments of all sections alike: nothing here is told apart by content.
  private static let signature: UInt32 = 1

  /// - Throws: what reading throws, and a sentence if there are no affinities.
  init(folder: String) throws {
    let store = SectionStore(directory: folder)
    var z: [SectionNumber] = []
    var affinities: [AffinitySection] = []
    for name in try store.names(withPrefix: "z") where !name.hasSuffix(".image.h5") {
      let section = try store.read(name, parts: [.affinities])
      guard let map = section.affinities else { continue }
      z.append(section.z)
      affinities.append(map)
    }
    guard !affinities.isEmpty else {
      throw StageError(stage: "store", reason: "there are no affinities in \(folder); segment a volume first")
    }
    self.z = z
    self.affinities = affinities
  }

  var pixels: Int { affinities.reduce(0) { $0 + $1.height * $1.width } }

  func graphs(_ fragments: [FragmentSection]) throws -> [SectionGraph] {
    var previous: PreviousSection?
    return try affinities.indices.map { index in
      defer { previous = PreviousSection(fragments: fragments[index], z: z[index], signature: Self.signature) }
      return try RegionGraphBuilder.graph(
        z: z[index], signature: Self.signature, fragments: fragments[index], affinities: affinities[index],
        previous: previous
      ).graph
    }
  }

  /// The segment of each pixel; fragments of label 0 stay 0.
  func labels(
    _ fragments: [FragmentSection], _ graphs: [SectionGraph], _ decisions: [[EdgeDecision]]
  ) -> [Plane<UInt64>] {
    var out = fragments.map { Plane<UInt64>(height: $0.labels.height, width: $0.labels.width, repeating: 0) }
    label(&out, fragments, graphs, decisions)
    return out
  }

  /// The same, into planes that are there.
  func label(
    _ planes: inout [Plane<UInt64>], _ fragments: [FragmentSection], _ graphs: [SectionGraph],
    _ decisions: [[EdgeDecision]]
  ) {
    let segments = SegmentUnion.segments(of: graphs, decisions: decisions)
    for index in planes.indices {
      let table = [0] + segments[index].map(\.rawValue)
      fragments[index].labels.storage.withUnsafeBufferPointer { labels in
        planes[index].storage.withUnsafeMutableBufferPointer { pixels in
          for pixel in labels.indices { pixels[pixel] = table[Int(labels[pixel])] }
        }
      }
    }
  }

  /// Writes labels as one HDF5 volume, for scoring.
  func write(_ planes: [Plane<UInt64>], to path: String) throws {
    let writer = try LabelVolumeWriter(
      path: path, count: planes.count, height: planes[0].height, width: planes[0].width, resolution: (1, 1, 1))
    for plane in planes { try writer.append(plane) }
    try writer.finish()
  }
}
