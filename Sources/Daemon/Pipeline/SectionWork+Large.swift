import Domain
import Plugins
import Volumes

/// Sections whose planes are a good part of the memory: they are read and written part by part.
extension SectionWork {
  /// Rows that are read at a time: one row of the store's pieces.
  private static let bandRows = 256

  static func bands(_ height: Int) -> [Range<Int>] {
    stride(from: 0, to: height, by: bandRows).map { $0..<min($0 + bandRows, height) }
  }

  /// Whether the section is not to be in memory as a whole more than it must.
  func isLarge(_ order: ProductOrder) -> Bool {
    order.stack[order.index].size.map { $0.pixels > stages.largePixels } ?? false
  }

  /// A section as the affinity stage sees it: read where it looks.
  func stackSection(_ source: ProductOrder.Source) -> StackSection {
    guard let whole = source.size else {
      return StackSection(z: source.z, key: source.key) { [self] in try image(source) }
    }
    return StackSection(z: source.z, key: source.key, height: whole.height, width: whole.width) { [self] window in
      try executor.checkIn(.network)
      if window == whole { return try image(source) }
      if stages.denoise.isEmpty { return try timings.measure(.read) { try sourcePart(source, window) } }
      return try timings.measure(.denoise) {
        try scratch.read(source.key, window, in: whole) { band in
          try executor.checkIn(.network)
          return try blaming(source.z) { try stages.denoised(band, in: whole) { try sourcePart(source, $0) } }
        }
      }
    }
  }

  /// A window of the section as it came. A damaged file is made again from the source.
  private func sourcePart(_ source: ProductOrder.Source, _ window: PlaneWindow) throws -> Plane<Float> {
    let name = imageName(source.z, source.sha256)
    do { return try store.readSource(name, window) } catch {
      try sourceImage(source)
      return try store.readSource(name, window)
    }
  }

  /// The denoised section in 8 bits.
  func quantisedByBands(_ source: ProductOrder.Source) throws -> Plane<UInt8> {
    guard let whole = source.size else { return quantised(try image(source)) }
    var image = Plane<UInt8>(height: whole.height, width: whole.width, repeating: 0)
    for rows in Self.bands(whole.height) {
      try executor.checkIn(.fragments)
      let band = PlaneWindow(rows: rows, columns: whole.columns)
      let denoised = try blaming(source.z) { try stages.denoised(band, in: whole) { try sourcePart(source, $0) } }
      image.replace(band, with: quantised(denoised))
    }
    return image
  }

  /// Makes a product part by part: affinities and fragments go to its file, the region graph is made from there.
  func largeProduct(
    _ order: ProductOrder, _ affinities: AffinitySection?, attributes: [String: String]
  ) throws -> Made {
    let previous = stages.watershed == nil ? nil : try banded(order.below)
    let writer = try store.begin(order.name, z: order.z)
    var made = Made(graph: SectionGraph(z: order.z, fragments: [], areas: [], edges: []), summaries: [])
    if let section = try writePlanes(order, affinities, writer) {
      let (graph, summaries) = try timings.measure(.regionGraph) {
        try RegionGraphBuilder.graph(
          z: order.z, signature: order.signature, section: section, previous: previous, gapConfidence: order.confidence)
      }
      try timings.measure(.store) { try writer.write(graph, summaries) }
      made = Made(graph: graph, summaries: summaries)
    }
    try timings.measure(.store) { try writer.finish(attributes: attributes) }
    return made
  }

  /// - Returns: the section, to be read from the writer; nil without fragments.
  private func writePlanes(
    _ order: ProductOrder, _ affinities: AffinitySection?, _ writer: SectionWriter
  ) throws -> BandedSection? {
    let file = order.sameAffinities
    guard let map = try file.flatMap({ try store.read($0, parts: [.affinities, .coarse]).affinities }) ?? affinities
    else {
      throw VolumeError.corrupt(path: store.path(file ?? order.name), reason: "it holds no affinities")
    }
    try timings.measure(.store) { try writer.write(map) }
    guard let watershed = stages.watershed else { return nil }
    let known = try file.flatMap { try store.read($0, parts: [.fragments]).fragments }
    let fragments = try known ?? timings.measure(.watershed) { try watershed.fragments(of: map) }
    try timings.measure(.store) { try writer.write(fragments) }
    let width = map.width
    return BandedSection(height: map.height, width: width, count: fragments.count, rows: Self.bandRows) {
      [executor] rows in
      try executor.checkIn(.fragments)
      let band = try writer.read(SectionRows(rows: rows, width: width, parts: [.fragments, .affinities]))
      return SectionBand(labels: band.labels, z: band.z, y: band.y, x: band.x)
    }
  }

  private func banded(_ below: ProductOrder.Below?) throws -> BandedPrevious? {
    guard let below else { return nil }
    guard let file = below.file else { throw LacksFragmentsBelow() }
    guard let shape = try store.fragmentShape(file) else {
      throw VolumeError.corrupt(path: store.path(file), reason: "it holds no fragments")
    }
    return BandedPrevious(
      z: below.section.z, signature: below.signature, height: shape.height, width: shape.width, count: shape.count
    ) { [store] rows in
      try store.read(file, SectionRows(rows: rows, width: shape.width, parts: .fragments)).labels
    }
  }
}

extension StageSet {
  /// A window of the image the affinity stage sees: each stage is given what it looks at around it.
  /// - Parameter read: a window of the section as it came.
  func denoised(
    _ window: PlaneWindow, in whole: PlaneWindow, read: (PlaneWindow) throws -> Plane<Float>
  ) throws -> Plane<Float> {
    func output(of count: Int, _ window: PlaneWindow) throws -> Plane<Float> {
      guard count > 0 else { return try read(window) }
      let stage = denoise[count - 1]
      let around = window.widened(by: stage.halo, alignment: stage.alignment, in: whole)
      return try stage.filtered(output(of: count - 1, around)).cropped(to: window.relative(to: around))
    }
    return try output(of: denoise.count, window)
  }
}

extension SectionGraph {
  /// Bytes in memory, about.
  var bytes: Int { 16 * fragments.count + 24 * edges.count + 5 * edges.bins.count }
}
