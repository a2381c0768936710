import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// `fgnetd render`: a picture of a section and its segments.
struct RenderCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "render", abstract: "Draw a section: image, affinities, segments, and a cut through the stack.")

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Option(help: "The section; without it, the middle one.") var z: Int32?
  @Option(help: "Show this segment only.") var segment: UInt64?
  @Option(help: "Strength of the colours, 0 to 1.") var opacity = 0.45
  @Flag(help: "The segments over the image alone, without other panels.") var overlayOnly = false
  @Flag(help: "Leave out everything that shows the image itself.") var withoutImage = false
  @Argument(help: "The PNG file to write.") var output: String

  func validate() throws {
    guard (0...1).contains(opacity) else { throw ValidationError("--opacity must be 0 to 1.") }
  }

  func run() throws {
    let configuration = try config.load()
    let picture = try withSegmentedVolume(configuration, volume.chosen(configuration)) { segmented in
      guard !segmented.sections.isEmpty else {
        throw OperatorError("volume \(segmented.volume.name) has no segments yet", status: .noInput)
      }
      let section = try z.map(segmented.section) ?? segmented.sections[segmented.sections.count / 2]
      return try draw(segmented, section)
    }
    try PNGWriter.write(picture, to: output)
    print(output)
  }

  private func draw(_ segmented: SegmentedVolume, _ section: SectionRow) throws -> RGBImage {
    let labels = shown(try segmented.segments(section))
    if let segment, !labels.storage.contains(segment) {
      throw OperatorError("segment \(segment) is not in section \(section.z)", status: .noInput)
    }
    let image = withoutImage ? nil : quantised(try segmented.image(section).normalised())
    let overlay = Rendering.overlay(labels, on: image, opacity: withoutImage ? 1 : Float(opacity))
    if overlayOnly { return overlay }
    var panels: [Montage.Panel] = []
    if let image { panels.append(Montage.Panel("section \(section.z)", Rendering.grey(image))) }
    if let file = section.file, let found = try segmented.store.read(file, parts: [.affinities, .coarse]).affinities {
      if let coarse = found.coarse {
        let (down, across) = (CoarseAffinities.stride, CoarseAffinities.stride)
        panels.append(
          Montage.Panel("coarse affinities", Rendering.boundaries(coarse).enlarged(down: down, across: across)))
      }
      panels.append(Montage.Panel("refined affinities", Rendering.boundaries(found)))
    }
    panels.append(Montage.Panel("segments", overlay))
    panels.append(Montage.Panel("x-z, row \(labels.height / 2)", try reslice(segmented, labels)))
    let state = section.state == .final ? "final" : "provisional"
    return Montage(
      panels, columns: panels.count > 3 ? (panels.count + 1) / 2 : panels.count,
      footer: "\(segmented.volume.name) z \(section.z), \(state), \(segmented.sections.count) sections"
    ).rendered()
  }

  private func shown(_ labels: Plane<UInt64>) -> Plane<UInt64> {
    guard let segment else { return labels }
    return Plane(
      height: labels.height, width: labels.width, storage: labels.storage.map { $0 == segment ? $0 : 0 })
  }

  /// The cut along the middle row, each section drawn as thick as it is in pixels; at most the 200 sections around.
  private func reslice(_ segmented: SegmentedVolume, _ labels: Plane<UInt64>) throws -> RGBImage {
    let row = labels.height / 2
    let sections = segmented.sections.suffix(200)
    var storage: [UInt64] = []
    for section in sections {
      let plane = shown(try segmented.segments(section))
      storage += plane.storage[row * plane.width..<(row + 1) * plane.width]
    }
    let cut = Plane(height: sections.count, width: labels.width, storage: storage)
    let size = segmented.volume.voxelSize
    return Rendering.segments(cut).enlarged(down: max(1, Int((size.z / size.y).rounded())), across: 1)
  }
}

extension PNGWriter {
  /// Writes a picture.
  static func write(_ picture: RGBImage, to path: String) throws(VolumeError) {
    var pixels: [UInt32] = []
    pixels.reserveCapacity(picture.bytes.count / 3)
    for index in stride(from: 0, to: picture.bytes.count, by: 3) {
      let red = UInt32(picture.bytes[index])
      let green = UInt32(picture.bytes[index + 1])
      pixels.append(red << 16 | green << 8 | UInt32(picture.bytes[index + 2]))
    }
    try write(rgb: Plane(height: picture.height, width: picture.width, storage: pixels), to: path)
  }
}
