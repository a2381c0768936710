import DB
import Domain
import Foundation
import Volumes

/// The segmentation that is scored. Sections are read when asked for, none is kept.
struct ScoredSections {
  /// What it is, for messages.
  var name: String
  /// Section numbers, ascending.
  var numbers: [SectionNumber]
  /// Nanometres; nil if it is not known.
  var voxelSize: (z: Double, y: Double, x: Double)?
  /// The segment of each pixel of a section, 0 where there is none.
  var segments: (SectionNumber) throws -> Plane<UInt64>
  /// The section's image; nil where there are none.
  var image: ((SectionNumber) throws -> Plane<UInt16>)?

  /// The database's segments.
  init(_ segmented: SegmentedVolume) throws {
    guard !segmented.sections.isEmpty else {
      throw OperatorError("volume \(segmented.volume.name) has no segments yet", status: .noInput)
    }
    let rows = Dictionary(uniqueKeysWithValues: segmented.sections.map { ($0.z, $0) })
    func row(_ z: SectionNumber) throws -> SectionRow { try rows[z] ?? segmented.section(z) }
    let size = segmented.volume.voxelSize
    name = "volume \(segmented.volume.name)"
    numbers = segmented.sections.map(\.z)
    voxelSize = (size.z, size.y, size.x)
    segments = { try segmented.segments(row($0)) }
    image = { try segmented.image(row($0)).pixels }
  }

  /// A file's segments, and images that go with them plane by plane.
  init(_ source: LabelSource, name: String, images: LabelSource?, firstZ: SectionNumber) throws {
    guard
      FragmentID.sectionNumbers.contains(firstZ),
      Int(firstZ) + source.count <= Int(FragmentID.sectionNumbers.upperBound)
    else { throw OperatorError("\(name) has section numbers out of range; see --segmentation-first-z", status: .usage) }
    self.name = name
    numbers = (0..<source.count).map { firstZ + SectionNumber($0) }
    voxelSize = source.voxelSize
    segments = { try source.plane(Int($0 - firstZ)) }
    image = images.map { images in
      { z in
        let plane = try images.plane(Int(z - firstZ))
        let pixels = plane.storage.map { UInt16(clamping: $0) }
        return Plane(height: plane.height, width: plane.width, storage: pixels)
      }
    }
  }
}

/// The truth, section by section.
struct TruthSections {
  let source: LabelSource
  /// Its path, for messages.
  let name: String
  /// Number of the section that its first plane is.
  let firstZ: SectionNumber
  let mask: BorderMask?

  /// The section as it is scored; nil if the truth has no such section.
  func scored(_ z: SectionNumber) throws -> Plane<UInt64>? {
    guard let plane = try plane(z) else { return nil }
    return mask?.masked(plane) ?? plane
  }

  /// The section as it was given.
  func plane(_ z: SectionNumber) throws -> Plane<UInt64>? {
    let index = Int(z) - Int(firstZ)
    return (0..<source.count).contains(index) ? try source.plane(index) : nil
  }
}
