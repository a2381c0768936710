import DB
import Domain
import Foundation
import Logging
import Plugins
import Synchronization
import Volumes

/// What is done with a volume's sections beside the pipeline's own thread. Every result is a function of what is given, and a
/// file of the store is written by one kind of work only, so that anything may be done again, or stopped at any moment.
///
/// Unchecked: the affinity stage and `scratch` are used by work of kind `network` only; everything else is a value, safe from any thread,
/// or under a lock.
final class SectionWork: @unchecked Sendable {
  /// What is kept of a product for agglomeration and for the rows.
  struct Made: Sendable {
    var graph: SectionGraph
    var summaries: [FragmentSummary]
    /// In memory, about.
    var bytes: Int { graph.bytes + summaries.count * MemoryLayout<FragmentSummary>.stride }
  }

  /// The fragments below are not there: making them failed, or they were lost.
  struct LacksFragmentsBelow: Error {}

  private let volume: String
  private let reader: SourceReader
  let stages: StageSet
  let store: SectionStore
  let timings: StageTimings
  let executor: any Executor
  private let log: Logger
  /// Fragments of the last few sections, for the section above.
  private let labels: Mutex<ProductCache<FragmentSection>>
  /// Images read ahead of the network, by key.
  private let images: Mutex<ProductCache<Plane<Float>>>
  /// Denoised sections that are too large for the memory.
  let scratch: DenoisedScratch

  init(
    volume: String, options: ImageOptions, stages: StageSet, store: SectionStore, timings: StageTimings,
    executor: any Executor, log: Logger
  ) {
    self.volume = volume
    reader = SourceReader(options: options)
    self.stages = stages
    self.store = store
    self.timings = timings
    self.executor = executor
    self.log = log
    for stage in stages.supervised {
      stage.whileWaiting {
        // Whoever closes the executor cancels what waits.
        executor.signOfLife()
        return true
      }
    }
    labels = Mutex(ProductCache(capacity: 2, limit: stages.memoryLimit / 64) { $0.labels.storage.count * 4 })
    images = Mutex(ProductCache(capacity: 2, limit: stages.memoryLimit / 64) { $0.storage.count * 4 })
    scratch = DenoisedScratch(directory: store.directory, capacity: 2 * stages.reach.context + 2)
  }

  // MARK: Intake

  /// What is recorded of a file that was taken in.
  struct TakenIn: Sendable {
    var sha256: String
    var height: Int
    var width: Int
    var bitDepth: Int
    var mean: Double
    var deviation: Double
    var quality: SectionQuality
    /// As the file states it.
    var pixelSize: PixelSize?
  }

  /// Reads a complete file and keeps its pixels in the store.
  /// - Parameter known: the section's bytes are in the store if they have this hash.
  /// - Throws: `SourceIsGone` if the file was deleted since it was offered, `VolumeError.changed` if it is another.
  func takeIn(_ file: OfferedFile, known: String?) throws -> TakenIn {
    try timings.measure(.takeIn) {
      let image: SectionImage
      let sha: String
      do throws(VolumeError) {
        (image, sha) = try reader.read(file.path, plane: file.plane, expected: (file.size, file.mtimeNs))
      } catch {
        throw Self.isThere(file.path) ? error as any Error : SourceIsGone()
      }
      if known != sha { try keep(image, z: file.z, sha256: sha, path: file.path) }
      let statistics = image.statistics()
      let quality = image.quality()
      return TakenIn(
        sha256: sha, height: image.pixels.height, width: image.pixels.width, bitDepth: image.bitDepth,
        mean: statistics.mean, deviation: statistics.std,
        quality: SectionQuality(
          darkFraction: quality.dark, brightFraction: quality.bright, sharpness: quality.sharpness),
        pixelSize: image.pixelSize)
    }
  }

  /// The file was deleted before it was read.
  struct SourceIsGone: Error {}

  private static func isThere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 || errno != ENOENT
  }

  private func keep(_ image: SectionImage, z: SectionNumber, sha256: String, path: String) throws {
    try store.writeSource(image, z: z, name: imageName(z, sha256), attributes: ["source": path, "sha256": sha256])
  }

  /// Makes an image ready before the network asks for it.
  func readAhead(_ source: ProductOrder.Source) {
    guard images.withLock({ $0[source.key] }) == nil else { return }
    // A fault is told when the network asks.
    guard let pixels = try? timings.measure(.read, { try store.readSource(imageName(source.z, source.sha256)) }),
      let image = try? denoised(pixels.normalised())
    else { return }
    images.withLock { $0.insert(source.key, image) }
  }

  /// The image that the network sees.
  func image(_ source: ProductOrder.Source) throws -> Plane<Float> {
    let ready = images.withLock { images in
      defer { images.remove(source.key) }
      return images[source.key]
    }
    if let ready { return ready }
    let image = try timings.measure(.read) { try sourceImage(source) }
    return try blaming(source.z) { try denoised(image) }
  }

  private func denoised(_ image: consuming Plane<Float>) throws -> Plane<Float> {
    if !stages.denoise.isEmpty { try timings.measure(.denoise) { try stages.filter(&image) } }
    return image
  }

  /// Whatever a stage fails on is the section's, unless it cannot be used at all.
  func blaming<T>(_ z: SectionNumber, _ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as StageError where !error.isOutage {
      throw SectionFailure(z: z, error: error)
    }
  }

  /// The section's pixels from the store, or, if that file was damaged, once more from the source.
  @discardableResult
  func sourceImage(_ source: ProductOrder.Source) throws -> Plane<Float> {
    do { return try store.readSource(imageName(source.z, source.sha256)).normalised() } catch {
      guard let path = source.path, let (image, sha) = try? reader.read(path, plane: source.plane),
        sha == source.sha256
      else {
        throw error.adding("\(source.path ?? "its source") is not there any more, or has other content: bring it back")
      }
      log.warning("\(error); made again from \(path)")
      try keep(image, z: source.z, sha256: source.sha256, path: path)
      return image.normalised()
    }
  }

  /// Keeps the pixels of a recorded section again, if the file in the store is damaged or gone.
  /// - Throws: as reading the store, if the microscope's file is not there with the same content.
  func remakeSource(_ z: SectionNumber, _ row: SectionRow?) throws {
    guard let row, let sha256 = row.sha256 else { return }
    try sourceImage(
      ProductOrder.Source(z: z, sha256: sha256, path: row.sourcePath, plane: row.plane, key: sha256, size: nil))
  }

  // MARK: Network

  func affinities(_ order: ProductOrder) throws -> AffinitySection {
    guard let stage = stages.affinity else { preconditionFailure("affinities without a stage") }
    let stack = order.stack.map(stackSection)
    let before = stage.operationsDone
    defer { timings.add(operations: stage.operationsDone - before) }
    return try timings.measure(.affinity) {
      try blaming(order.z) { try stage.affinities(of: order.index, in: stack) }
    }
  }

  // MARK: Fragments

  /// From the affinities to the product's file.
  /// - Parameter affinities: nil to take those of `order.sameAffinities`, or, without an affinity stage, for the image only.
  func product(_ order: ProductOrder, _ affinities: AffinitySection?) throws -> Made {
    var content = SectionProducts(z: order.z)
    content.attributes = [
      "affinity_content": order.affinityContent, "graph_content": order.graphContent,
      "configuration": stages.fingerprint,
    ]
    if stages.affinity == nil {
      let source = order.stack[order.index]
      content.image = try isLarge(order) ? quantisedByBands(source) : quantised(image(source))
    } else if isLarge(order) {
      return try blaming(order.z) { try largeProduct(order, affinities, attributes: content.attributes) }
    } else {
      try blaming(order.z) { try cut(order, affinities, &content) }
    }
    try timings.measure(.store) { try store.write(content, name: order.name) }
    return Made(
      graph: content.graph ?? SectionGraph(z: order.z, fragments: [], areas: [], edges: []),
      summaries: content.summaries ?? [])
  }

  private func cut(_ order: ProductOrder, _ affinities: AffinitySection?, _ content: inout SectionProducts) throws {
    var fragments: FragmentSection?
    var map = affinities
    if let file = order.sameAffinities {
      let stored = try store.read(file, parts: [.affinities, .coarse, .fragments])
      map = stored.affinities
      fragments = stored.fragments
    }
    guard let map else {
      throw VolumeError.corrupt(path: store.path(order.sameAffinities ?? order.name), reason: "it holds no affinities")
    }
    content.affinities = map
    guard let watershed = stages.watershed else { return }
    var previous: PreviousSection?
    if let below = order.below {
      guard let found = try self.fragments(below.section.z, below.section.affinity, file: below.file) else {
        throw LacksFragmentsBelow()
      }
      previous = PreviousSection(fragments: found, z: below.section.z, signature: below.signature)
    }
    let cut = try fragments ?? timings.measure(.watershed) { try watershed.fragments(of: map) }
    remember(cut, order.z, order.affinityContent)
    let graph = try timings.measure(.regionGraph) {
      try RegionGraphBuilder.graph(
        z: order.z, signature: order.signature, fragments: cut, affinities: map, previous: previous,
        gapConfidence: order.confidence)
    }
    content.fragments = cut
    content.graph = graph.graph
    content.summaries = graph.summaries
  }

  /// The fragments of a section: remembered, or those of a product's file.
  func fragments(_ z: SectionNumber, _ affinity: String, file: String?) throws -> FragmentSection? {
    if let known = labels.withLock({ $0["\(z)/\(affinity)"] }) { return known }
    guard let file else { return nil }
    guard let found = try store.read(file, parts: [.fragments]).fragments else {
      throw VolumeError.corrupt(path: store.path(file), reason: "it holds no fragments")
    }
    remember(found, z, affinity)
    return found
  }

  private func remember(_ fragments: FragmentSection, _ z: SectionNumber, _ affinity: String) {
    labels.withLock { $0.insert("\(z)/\(affinity)", fragments) }
  }
}
