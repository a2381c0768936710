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

  /// Draws each error into a file of the folder. Takes another pass, over the sections that are shown only; a picture is
  /// written as soon as its last section is there.
  mutating func draw(_ evaluation: Evaluation, into folder: String) throws {
    let sections = evaluation.common
    let pictures = errors.map { ErrorPicture($0.error, at: $0.place, among: sections) }
    var rows: [Int: ErrorPicture.Panels] = [:]
    for z in sections {
      let shown = pictures.indices.filter { pictures[$0].sections.contains(z) }
      guard !shown.isEmpty, let truth = try evaluation.truth.plane(z) else { continue }
      let found = try evaluation.found.segments(z)
      let image = try evaluation.found.image?(z)
      for index in shown {
        rows[index, default: ErrorPicture.Panels()].append(pictures[index].panels(z, truth, found, image))
        if z == pictures[index].sections.last, let panels = rows.removeValue(forKey: index) {
          let error = listed[index]
          let path = "\(folder)/\(error.kind)-\(String(format: "%03d", error.number))-\(error.label).png"
          try PNGWriter.write(pictures[index].montage(panels, number: error.number).rendered(), to: path)
          listed[index].picture = path
        }
      }
    }
  }
}
