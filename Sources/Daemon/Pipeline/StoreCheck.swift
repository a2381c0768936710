import DB
import Domain
import Volumes

/// Compares the files of a volume with its rows: each is there and opens, every checksum in it holds, and it says what the rows
/// say. Reads everything, a band of rows at a time.
struct StoreCheck {
  /// A file that is not what the rows say.
  struct Fault: Equatable, CustomStringConvertible {
    var z: SectionNumber
    /// Its name in the store.
    var file: String
    /// A sentence that names the file.
    var text: String
    var isImage: Bool { isImageName(file) }
    var description: String { "z \(z): \(text)" }
  }

  let record: Record
  let volume: VolumeRow
  let store: SectionStore
  /// Files looked at so far.
  private(set) var files = 0

  init(record: Record, volume: VolumeRow, stateDirectory: String) {
    self.record = record
    self.volume = volume
    store = SectionStore(stateDirectory: stateDirectory, volume: volume.name)
  }

  /// What is wrong, from the lowest section.
  mutating func faults() throws -> [Fault] {
    var found: [Fault] = []
    for row in try record.sections(volume.id) where row.state != .missing {
      var row = row
      var faults = try check(row)
      // A daemon that is at work may have replaced the section meanwhile.
      while !faults.isEmpty, let now = try record.section(volume.id, z: row.z), now != row {
        row = now
        faults = try check(row)
      }
      found += faults
    }
    return found
  }

  private mutating func check(_ row: SectionRow) throws -> [Fault] {
    var faults: [Fault] = []
    func attempt(_ file: String, _ body: () throws -> Void) throws {
      files += 1
      do { try body() } catch let error as VolumeError {
        faults.append(Fault(z: row.z, file: file, text: error.description))
      }
    }
    let image = imageName(row.z, row.sha256 ?? "")
    try attempt(image) { try checkImage(image, row) }
    if row.state == .final || row.state == .provisional, let file = row.file, !file.isEmpty {
      try attempt(file) { try checkProduct(file, row) }
    }
    return faults
  }

  private func checkImage(_ file: String, _ row: SectionRow) throws {
    let content = try store.attributes(file)["sha256"]
    guard content == row.sha256 else { throw differs(file, "it says that it is of the content \(content ?? "?")") }
    try readBands(file, row, [.image]) { _ in }
  }

  private func checkProduct(_ file: String, _ row: SectionRow) throws {
    let parts = try store.parts(file)
    let stored = try store.read(file, parts: [.graph, .summaries])
    guard stored.z == row.z, productName(row.z, stored.attributes["graph_content"] ?? "") == file else {
      throw differs(file, "it says that it is z \(stored.z) and computed from other sections")
    }
    if parts.contains(.fragments) {
      guard let graph = stored.graph, let summaries = stored.summaries, graph.fragments.count == summaries.count,
        let count = try store.fragmentShape(file)?.count, count == summaries.count
      else { throw differs(file, "its parts do not fit each other") }
      var areas = [Int](repeating: 0, count: count + 1)
      try readBands(file, row, parts.intersection([.fragments, .affinities, .image])) { band in
        for label in band.labels {
          guard label <= count else { throw differs(file, "a pixel has the label \(label) of \(count)") }
          areas[Int(label)] += 1
        }
      }
      for summary in summaries where areas[Int(summary.label)] != summary.area {
        throw differs(file, "fragment \(summary.label) has \(areas[Int(summary.label)]) pixels, not \(summary.area)")
      }
      try compare(file, row, graph, summaries)
    } else {
      try readBands(file, row, parts.intersection([.affinities, .image])) { _ in }
      guard try record.firstFragment(volume: volume.id, z: row.z) == nil else {
        throw differs(file, "it has no fragments")
      }
    }
    if parts.contains(.coarse) { try readCoarse(file, row) }
  }

  private func compare(
    _ file: String, _ row: SectionRow, _ graph: SectionGraph, _ summaries: [FragmentSummary]
  ) throws {
    let isFinal = row.state == .final
    let rows = try record.fragments(volume: volume.id, z: row.z)
    let own = zip(graph.fragments, summaries).map { (id: isFinal ? $0 : $0.provisional, summary: $1) }
      .sorted { $0.id < $1.id }
    guard rows.map(\.id) == own.map(\.id) else {
      throw differs(file, "it has \(own.count) fragments, the rows other ones (\(rows.count))")
    }
    for (a, b) in zip(rows, own) where a.summary != b.summary {
      throw differs(file, "fragment \(a.id) has another area, box or centroid in the rows")
    }
    guard isFinal else { return }
    let edges = try record.edges(volume: volume.id, z: row.z)
    let ownEdges = graph.edges.sorted { ($0.a, $0.b) < ($1.a, $1.b) }
    guard edges.count == ownEdges.count,
      zip(edges, ownEdges).allSatisfy({ $0.a == $1.a && $0.b == $1.b && $0.contactArea == $1.histogram.total })
    else { throw differs(file, "it has \(ownEdges.count) contacts, the rows other ones (\(edges.count))") }
  }

  private func readBands(
    _ file: String, _ row: SectionRow, _ parts: SectionParts, _ body: (SectionRows.Values) throws -> Void
  ) throws {
    guard let height = row.height, let width = row.width else { return }
    for rows in SectionWork.bands(height) {
      try body(store.read(file, SectionRows(rows: rows, width: width, parts: parts)))
    }
  }

  /// No row depends on the coarse affinities: only their checksums are looked at.
  private func readCoarse(_ file: String, _ row: SectionRow) throws {
    guard let height = row.height, let width = row.width else { return }
    let half = PlaneWindow(height: height, width: width).halved
    for rows in SectionWork.bands(half.height) {
      let band = PlaneWindow(rows: rows, columns: half.columns)
      for axis in 0..<3 { _ = try store.readAffinities(file, .coarse, axis: axis, band) }
    }
  }

  private func differs(_ file: String, _ reason: String) -> VolumeError {
    .corrupt(path: store.path(file), reason: reason)
  }
}
