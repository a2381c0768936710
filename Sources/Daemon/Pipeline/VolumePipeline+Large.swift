import Domain
import Volumes

/// Sections whose planes are a good part of the memory.
extension VolumePipeline {
  func size(_ z: SectionNumber) -> PlaneWindow? {
    guard let height = rows[z]?.height, let width = rows[z]?.width else { return nil }
    return PlaneWindow(height: height, width: width)
  }

  /// Whether the section is not to be in memory as a whole more than it must.
  func isLarge(_ z: SectionNumber) -> Bool { size(z).map { $0.pixels > stages.largePixels } ?? false }

  /// How the fragments in `file` lie on those of the product; nil when one has none.
  func overlapCounts(_ file: String, _ product: Product) throws -> [Overlap.Count]? {
    guard isLarge(product.z) else {
      let own = try products.name(product.z, affinity: product.affinity, in: store)
      guard let before = try store.read(file, parts: [.fragments]).fragments,
        let after = try work.fragments(product.z, product.affinity, file: own)
      else { return nil }
      return Overlap.count(before.labels, after.labels)
    }
    guard let shape = try store.fragmentShape(file), products.contains(product.name) else { return nil }
    var overlap = Overlap()
    for rows in SectionWork.bands(shape.height) {
      let band = SectionRows(rows: rows, width: shape.width, parts: .fragments)
      overlap.add(try store.read(file, band).labels, try store.read(product.name, band).labels)
    }
    return overlap.counts
  }
}
