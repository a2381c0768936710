import Domain
import Foundation
import Plugins
import Volumes

/// Sections whose planes are a good part of the memory: they are read and written part by part.
extension VolumePipeline {
  /// Rows that are read at a time: one row of the store's pieces.
  private static let bandRows = 256

  /// Whether the section is not to be in memory as a whole more than it must.
  func isLarge(_ z: SectionNumber) -> Bool {
    guard let height = rows[z]?.height, let width = rows[z]?.width else { return false }
    return height * width > stages.largePixels
  }

  /// A section as the affinity stage sees it: read where it looks.
  func stackSection(_ z: SectionNumber) -> StackSection {
    let key = (plan.sources[z] ?? "") + stages.denoise.map(\.fingerprint).joined(separator: ";")
    guard let height = rows[z]?.height, let width = rows[z]?.width else {
      return StackSection(z: z, key: key) { [self] in try denoisedImage(z) }
    }
    let whole = PlaneWindow(height: height, width: width)
    return StackSection(z: z, key: key, height: height, width: width) { [self] window in
      if window == whole { return try denoisedImage(z) }
      if stages.denoise.isEmpty { return try timings.measure("read") { try sourcePart(z, window) } }
      return try timings.measure("denoise") {
        try scratch.read(key, window, in: whole) { band in
          try stages.denoised(band, in: whole) { try sourcePart(z, $0) }
        }
      }
    }
  }

  /// A window of the section as it came. A damaged file is made again from the source.
  private func sourcePart(_ z: SectionNumber, _ window: PlaneWindow) throws -> Plane<Float> {
    guard let sha = plan.sources[z] else {
      throw OperatorError("\(name) z \(z): no source is recorded; this is a fault of the program")
    }
    do { return try store.readSource(imageName(z, sha), window) } catch {
      try sourceImage(z, sha)
      return try store.readSource(imageName(z, sha), window)
    }
  }

  /// The denoised section in 8 bits.
  func quantisedByBands(_ z: SectionNumber) throws -> Plane<UInt8> {
    guard let height = rows[z]?.height, let width = rows[z]?.width else { return quantised(try denoisedImage(z)) }
    let whole = PlaneWindow(height: height, width: width)
    var image = Plane<UInt8>(height: height, width: width, repeating: 0)
    for rows in bands(height) {
      let band = PlaneWindow(rows: rows, columns: whole.columns)
      image.replace(band, with: quantised(try stages.denoised(band, in: whole) { try sourcePart(z, $0) }))
    }
    return image
  }

  /// Makes a product part by part: affinities and fragments go to its file, the region graph is made from there.
  func makeLargeProduct(_ product: Product, _ stage: any AffinityStage, attributes: [String: String]) throws {
    let writer = try store.begin(product.name, z: product.z)
    let shape = try writePlanes(product, stage, writer)
    if let shape {
      let (graph, summaries) = try timings.measure("region graph") {
        try RegionGraphBuilder.graph(
          z: product.z, signature: signature(product.affinity), section: shape, previous: try banded(product.below),
          gapConfidence: pow(stages.gapConfidence, Double(plan.gapBelow(product.place) ?? 0)))
      }
      try timings.measure("store") { try writer.write(graph, summaries) }
      graphs.insert(product.name, graph)
    }
    try timings.measure("store") { try writer.finish(attributes: attributes) }
    products.insert(product.name)
  }

  /// - Returns: the section, to be read from the writer; nil without fragments.
  private func writePlanes(
    _ product: Product, _ stage: any AffinityStage, _ writer: SectionWriter
  ) throws -> BandedSection? {
    let made = madeProduct(of: product.z, affinity: product.affinity)
    let known = try made.flatMap { try store.read($0, parts: [.affinities]).affinities }
    let map = try known ?? timings.measure("affinity") { try affinities(product.place, stage) }
    try timings.measure("store") { try writer.write(map) }
    guard let watershed = stages.watershed else { return nil }
    let reused = try made.flatMap { try store.read($0, parts: [.fragments]).fragments }
    let fragments = try reused ?? timings.measure("watershed") { try watershed.fragments(of: map) }
    try timings.measure("store") { try writer.write(fragments) }
    let width = map.width
    return BandedSection(height: map.height, width: width, count: fragments.count, rows: Self.bandRows) { rows in
      let band = try writer.read(SectionRows(rows: rows, width: width, parts: [.fragments, .affinities]))
      return SectionBand(labels: band.labels, z: band.z, y: band.y, x: band.x)
    }
  }

  private func banded(_ below: (z: SectionNumber, affinity: String)?) throws -> BandedPrevious? {
    guard let below, let file = madeProduct(of: below.z, affinity: below.affinity),
      let shape = try store.fragmentShape(file)
    else { return nil }
    return BandedPrevious(
      z: below.z, signature: signature(below.affinity), height: shape.height, width: shape.width, count: shape.count
    ) { [store] rows in
      try store.read(file, SectionRows(rows: rows, width: shape.width, parts: .fragments)).labels
    }
  }

  /// How the fragments in `file` lie on those of the product; nil when one has none.
  func overlapCounts(_ file: String, _ product: Product) throws -> [Overlap.Count]? {
    guard isLarge(product.z) else {
      guard let before = try store.read(file, parts: [.fragments]).fragments,
        let after = try fragmentLabels(product.z, product.affinity)
      else { return nil }
      return Overlap.count(before.labels, after.labels)
    }
    guard let shape = try store.fragmentShape(file), products.contains(product.name) else { return nil }
    var overlap = Overlap()
    for rows in bands(shape.height) {
      let band = SectionRows(rows: rows, width: shape.width, parts: .fragments)
      overlap.add(try store.read(file, band).labels, try store.read(product.name, band).labels)
    }
    return overlap.counts
  }

  private func bands(_ height: Int) -> [Range<Int>] {
    stride(from: 0, to: height, by: Self.bandRows).map { $0..<min($0 + Self.bandRows, height) }
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
      return try stage.apply(output(of: count - 1, around)).cropped(to: window.relative(to: around))
    }
    return try output(of: denoise.count, window)
  }
}

extension SectionGraph {
  /// Bytes in memory, about: an array takes 32 besides its elements.
  var bytes: Int {
    edges.reduce(16 * fragments.count) { $0 + 96 + 5 * $1.histogram.bins.count }
  }
}
