import Domain
import Foundation
import Volumes

/// The errors that cost most, where to look at them, and pictures of them.
struct WorstErrors {
  /// One error, for the report.
  struct Listed: Encodable {
    struct Part: Encodable {
      var label: UInt64
      var voxels: Int
    }

    /// 1 is the most expensive one of its kind.
    var number: Int
    /// `merge` or `split`.
    var kind: String
    var label: UInt64
    var voxels: Int
    var bits: Double
    /// The largest ones.
    var parts: [Part]
    var partCount: Int
    var firstZ: SectionNumber
    var lastZ: SectionNumber
    var z: SectionNumber
    var otherZ: SectionNumber
    var y: Int
    var x: Int
    var distanceNm: Double
    /// File of its picture.
    var picture: String?
  }

  private static let partsListed = 10
  private(set) var listed: [Listed] = []
  private var errors: [(error: CostlyError, place: ErrorPlaces.Place)] = []

  /// Takes one pass over the sections, to find the places.
  init(
    _ evaluation: Evaluation, _ table: Contingency, count: Int, voxelSize: (z: Double, y: Double, x: Double)
  ) throws {
    let ignoring = evaluation.ignoring
    let merges = table.costliest(.merge, count: count, ignoring: ignoring)
    let all = merges + table.costliest(.split, count: count, ignoring: ignoring)
    var places = ErrorPlaces(all, voxelSize: voxelSize, ignoring: ignoring)
    try evaluation.forEachSection { z, truth, found in places.add(z: z, truth: truth, found: found) }
    for (index, (error, place)) in zip(all, places.places).enumerated() {
      guard let place else { continue }
      errors.append((error, place))
      listed.append(
        Listed(
          number: index < merges.count ? index + 1 : index - merges.count + 1, kind: error.kind.rawValue,
          label: error.label, voxels: error.voxels, bits: error.bits,
          parts: error.parts.prefix(Self.partsListed).map { Listed.Part(label: $0.label, voxels: $0.voxels) },
          partCount: error.parts.count, firstZ: place.firstZ, lastZ: place.lastZ, z: place.z, otherZ: place.otherZ,
          y: place.y, x: place.x, distanceNm: place.distance))
    }
  }

  /// Pictures drawn in one pass: each holds a few megabytes until its last section has come.
  private static let batch = 32

  /// Draws each error into a file of the folder. Only the sections shown are read, and few pictures are held at a time.
  mutating func draw(_ evaluation: Evaluation, into folder: String) throws {
    let numbers = evaluation.common
    let pictures = errors.map { ErrorPicture($0.error, at: $0.place, among: numbers) }
    // By section, so that a section is needed by few batches.
    let order = pictures.indices.sorted { (errors[$0].place.z, $0) < (errors[$1].place.z, $1) }
    for start in stride(from: 0, to: order.count, by: Self.batch) {
      try draw(Array(order[start..<min(order.count, start + Self.batch)]), pictures, evaluation, into: folder)
    }
  }

  private mutating func draw(
    _ batch: [Int], _ pictures: [ErrorPicture], _ evaluation: Evaluation, into folder: String
  ) throws {
    var drawn: [Int: ErrorPicture.Panels] = [:]
    for z in Set(batch.flatMap { pictures[$0].sections }).sorted() {
      guard let truth = try evaluation.truth.plane(z) else { continue }
      let found = try evaluation.found.segments(z)
      let image = try evaluation.found.image?(z)
      for index in batch where pictures[index].sections.contains(z) {
        drawn[index, default: ErrorPicture.Panels()].append(pictures[index].panels(z, truth, found, image))
        guard z == pictures[index].sections.last, let panels = drawn.removeValue(forKey: index) else { continue }
        let error = listed[index]
        let path = "\(folder)/\(error.kind)-\(String(format: "%03d", error.number))-\(error.label).png"
        try PNGWriter.write(pictures[index].montage(panels, number: error.number).rendered(), to: path)
        listed[index].picture = path
      }
    }
  }
}
