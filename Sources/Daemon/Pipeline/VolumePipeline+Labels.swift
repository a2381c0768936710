import DB
import Domain
import Logging
import Volumes

/// Label tiles: the geometry of fragments in the database, taken from the section files.
extension VolumePipeline {
  /// The fragments of a product's file as label tiles; nil if it has none. Read in bands, so that a large section's labels
  /// are not in memory as a whole.
  func labelTiles(_ file: String) throws -> LabelTiles? {
    guard !file.isEmpty, let shape = try store.fragmentShape(file) else { return nil }
    var tiles = LabelTiles(width: shape.width)
    for rows in SectionWork.bands(shape.height) {
      tiles.append(try store.read(file, SectionRows(rows: rows, width: shape.width, parts: .fragments)).labels)
    }
    return tiles
  }

  /// Adds the label tiles of one section that was segmented before they were kept. A file that cannot be read is named and
  /// left out until the next start.
  func fillNext() throws -> Progress {
    guard let section = unfilled.last else { return .idle }
    do {
      if products.contains(section.file), let tiles = try labelTiles(section.file) {
        try timings.measure(.database) { _ = try record.fill(section, volume: volume.id, tiles) }
      }
    } catch let error as VolumeError {
      log.warning("\(name) z \(section.z): no label tiles in the database, so no segment_at: \(error)")
    }
    unfilled.removeLast()
    if unfilled.isEmpty { log.info("\(name): all label tiles that there are files for are in the database") }
    return .worked
  }
}
