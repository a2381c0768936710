import Domain
import Simulator
import Testing

@testable import Daemon

@Suite struct SegmentPaletteTests {
  @Test func colourIsStable() {
    #expect(SegmentPalette.color(of: 0) == RGB(0, 0, 0))
    #expect(SegmentPalette.color(of: 42) == SegmentPalette.color(of: 42))
  }

  /// Ids in a row, as fragments have them, are told apart, and none is nearly black or white.
  @Test func neighbouringIDsDiffer() {
    func distance(_ a: RGB, _ b: RGB) -> Int {
      abs(Int(a.red) - Int(b.red)) + abs(Int(a.green) - Int(b.green)) + abs(Int(a.blue) - Int(b.blue))
    }
    let colors = (1...2000 as ClosedRange<UInt64>).map(SegmentPalette.color)
    let near = zip(colors, colors.dropFirst()).count { distance($0, $1) < 40 }
    #expect(near < 100, "\(near) of 1999 pairs look alike")
    for c in colors {
      #expect((60...240).contains((Int(c.red) + 2 * Int(c.green) + Int(c.blue)) / 4))
      #expect(max(c.red, c.green, c.blue) - min(c.red, c.green, c.blue) > 40, "\(c) is grey")
    }
  }
}

@Suite struct OverlayTests {
  private let image = Plane<UInt8>(height: 4, width: 6, repeating: 100)

  @Test func noneKeepsTheImageAndSegmentsAreMixedIn() {
    var labels = Plane<UInt64>(height: 4, width: 6, repeating: 0)
    for x in 0..<3 { for y in 0..<4 { labels[y, x] = 9 } }
    let plain = Rendering.overlay(labels, on: image, opacity: 0.5, outlined: false)
    let color = SegmentPalette.color(of: 9)
    #expect(plain[1, 5] == RGB(grey: 100))
    #expect(plain[1, 1].red == UInt8((100 + Float(color.red)) / 2 + 0.5))
    #expect(Rendering.overlay(labels, on: image, opacity: 0, outlined: false) == Rendering.grey(image))
    #expect(Rendering.segments(labels)[2, 0] == color)
  }

  @Test func outlineIsDrawnWhereLabelsMeet() {
    var labels = Plane<UInt32>(height: 4, width: 6, repeating: 1)
    for y in 0..<4 { for x in 3..<6 { labels[y, x] = 2 } }
    let outlined = Rendering.overlay(labels, on: image, opacity: 0.3)
    let plain = Rendering.overlay(labels, on: image, opacity: 0.3, outlined: false)
    for y in 0..<4 {
      for x in 0..<6 { #expect((outlined[y, x] != plain[y, x]) == (x == 2 || x == 3), "(\(y), \(x))") }
    }
  }

  @Test func affinities() {
    var y = Plane<UInt8>(height: 2, width: 2, repeating: 200)
    var x = Plane<UInt8>(height: 2, width: 2, repeating: 180)
    for k in 0..<2 { (y[0, k], x[k, 0]) = (0, 0) }
    let section = AffinitySection(z: Plane(height: 2, width: 2, repeating: 7), y: y, x: x)
    let boundaries = Rendering.boundaries(section)
    #expect(boundaries[0, 0] == RGB(grey: 255))
    #expect(boundaries[0, 1] == RGB(grey: 180))
    #expect(boundaries[1, 0] == RGB(grey: 200))
    #expect(boundaries[1, 1] == RGB(grey: 180))
    #expect(Rendering.channels(section)[1, 1] == RGB(180, 200, 7))
    #expect(Rendering.boundaries(CoarseAffinities(z: section.z, y: y, x: x)) == boundaries)
  }

  @Test func reslice() {
    let sections = (0..<3 as Range<UInt8>).map { z in
      Plane<UInt8>(height: 2, width: 4, storage: (0..<8).map { 10 * z + $0 })
    }
    let plane = Rendering.reslice(sections, row: 1)
    #expect(plane.height == 3 && plane.width == 4)
    #expect(plane.storage == [4, 5, 6, 7, 14, 15, 16, 17, 24, 25, 26, 27])
  }
}

@Suite struct MontageTests {
  private func panel(_ caption: String, _ height: Int, _ width: Int, _ color: RGB) -> Montage.Panel {
    Montage.Panel(caption, RGBImage(height: height, width: width, filledWith: color))
  }
  private func count(_ image: RGBImage, _ color: RGB) -> Int {
    var n = 0
    for y in 0..<image.height { for x in 0..<image.width where image[y, x] == color { n += 1 } }
    return n
  }

  @Test func everyPanelIsWholeAndCaptioned() {
    let colors = [RGB(250, 0, 0), RGB(0, 250, 0), RGB(0, 0, 250)]
    let panels = [panel("raw", 30, 40, colors[0]), panel("edges", 20, 50, colors[1]), panel("xz", 10, 8, colors[2])]
    let row = Montage(panels, footer: "z 12").rendered()
    #expect(row.bytes.count == 3 * row.height * row.width)
    #expect(row.width == 8 + 3 * 58)
    #expect(colors.map { count(row, $0) } == [1200, 1000, 80])
    let bare = Montage(panels.map { panel("", $0.image.height, $0.image.width, $0.image[0, 0]) }).rendered()
    let ink = RGB(232, 234, 238)
    #expect(count(bare, ink) == 0 && count(row, ink) > 60)
    let wrapped = Montage(panels, columns: 2).rendered()
    #expect(wrapped.width == 8 + 2 * 58)
    #expect(colors.map { count(wrapped, $0) } == [1200, 1000, 80])
  }

  @Test func longCaptionStaysOverItsPanel() {
    let image = Montage([panel(String(repeating: "W", count: 99), 5, 60, RGB(9, 9, 9))]).rendered()
    #expect(image.width == 76)
    #expect((68..<76).allSatisfy { x in (0..<image.height).allSatisfy { image[$0, x] == RGB(20, 22, 26) } })
  }

  @Test func letters() {
    var image = RGBImage(height: 7, width: 5)
    BitmapFont.draw("T", on: &image, y: 0, x: 0, scale: 1, color: RGB(1, 1, 1))
    let rows = (0..<7).map { y in (0..<5).map { image[y, $0].red == 1 ? "#" : "." }.joined() }
    #expect(rows == ["#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."])
    #expect(BitmapFont.glyph("\u{20AC}") == BitmapFont.glyph("?"))
    var clipped = RGBImage(height: 3, width: 3)
    BitmapFont.draw("WW", on: &clipped, y: -2, x: -8, scale: 2, color: RGB(1, 1, 1))
    #expect(clipped.bytes.contains(1))
    #expect(Montage([]).rendered().bytes.isEmpty)
  }
}

@Suite struct ErrorPictureTests {
  private let place = ErrorPlaces.Place(z: 7, otherZ: 7, y: 20, x: 30, distance: 6, firstZ: 1, lastZ: 9)

  private func picture(_ kind: CostlyError.Kind, _ numbers: [SectionNumber]) -> ErrorPicture {
    let error = CostlyError(
      kind: kind, label: 50, voxels: 900, bits: 0.1,
      parts: [.init(label: 1, voxels: 500), .init(label: 2, voxels: 395), .init(label: 3, voxels: 5)])
    return ErrorPicture(error, at: place, among: numbers)
  }

  @Test func sectionsAroundThePlaceAreShown() {
    #expect(picture(.merge, Array(0..<20)).sections == [5, 6, 7, 8, 9])
    #expect(picture(.merge, [7, 9, 11, 13, 15, 17]).sections == [7, 9, 11, 13, 15])
    #expect(picture(.merge, [1, 3, 5, 6, 7]).sections == [1, 3, 5, 6, 7])
    #expect(picture(.merge, [6, 7]).sections == [6, 7])
  }

  @Test func involvedLabelsAreInStrongColours() {
    var truth = Plane<UInt64>(height: 40, width: 60, repeating: 4)
    for y in 0..<40 { for x in 10..<50 { truth[y, x] = x < 30 ? 1 : 2 } }
    let whole = Plane<UInt64>(height: 40, width: 60, storage: truth.storage.map { $0 == 4 ? 60 : 50 })
    let image = Plane<UInt16>(height: 40, width: 60, storage: (0..<2400).map { UInt16(($0 + 20) % 60) * 1000 })
    let (amber, blue, magenta) = (RGB(255, 176, 0), RGB(70, 160, 255), RGB(235, 80, 200))
    func colors(_ image: RGBImage) -> Set<RGB> {
      var found: Set<RGB> = []
      for y in 0..<image.height { for x in 0..<image.width { found.insert(image[y, x]) } }
      return found
    }
    let merge = picture(.merge, Array(0..<20)).panels(7, truth, whole, image)
    #expect(merge.truth.image.height == 80 && merge.truth.image.width == 120)
    #expect(colors(merge.truth.image).isSuperset(of: [amber, blue]))
    #expect(colors(merge.found.image).isSuperset(of: [amber, blue]))
    #expect(colors(merge.found.image).contains(RGB(grey: 0).mixed(with: magenta, share: 0.55)))
    let split = picture(.split, Array(0..<20)).panels(8, whole, truth, nil)
    #expect(colors(split.truth.image).contains(magenta) && !colors(split.truth.image).contains(amber))
    #expect(colors(split.found.image).isSuperset(of: [amber, blue, magenta]))
    // Only the section of the place is marked.
    #expect(colors(merge.truth.image).contains(RGB(255, 255, 255)) && merge.truth.caption == "z 7 truth, place")
    #expect(!colors(split.truth.image).contains(RGB(255, 255, 255)) && split.truth.caption == "z 8 truth")
  }

  @Test func theCropStaysInsideTheSection() {
    let labels = Plane<UInt64>(height: 500, width: 170, repeating: 1)
    let panels = picture(.merge, [7]).panels(7, labels, labels, nil)
    #expect(panels.truth.image.height == 320 && panels.found.image.width == 320)
  }

  @Test func theFooterHasThreeLines() {
    var panels = ErrorPicture.Panels()
    let labels = Plane<UInt64>(height: 40, width: 60, repeating: 1)
    let picture = picture(.split, [6, 7])
    for z in picture.sections { panels.append(picture.panels(z, labels, labels, nil)) }
    let montage = picture.montage(panels, number: 3)
    #expect(montage.columns == 2 && montage.panels.count == 4)
    #expect(montage.footer.split(separator: "\n").count == 3 && montage.footer.contains("split 3"))
    var one = montage
    one.footer = "z"
    #expect(montage.rendered().height == one.rendered().height + 2 * 15)
  }
}

@Suite struct DemoPictureTests {
  @Test func simulatedSectionMakesAPicture() throws {
    let volume = try SimulatedVolume(SimulationOptions(height: 48, width: 64))
    let sections = try (0..<4 as Range<SectionNumber>).map { try volume.section($0) }
    let reslice = Rendering.segments(Rendering.reslice(sections.map(\.labels), row: 20)).enlarged(down: 5, across: 1)
    #expect(reslice.height == 20 && reslice.width == 64)
    #expect(reslice[4, 9] == reslice[0, 9])
    let picture = Montage([
      .init("image", Rendering.grey(sections[0].image)),
      .init("segments", Rendering.overlay(sections[0].labels, on: sections[0].image)), .init("x-z", reslice),
    ]).rendered()
    #expect(picture.width == 8 + 3 * 72)
    #expect(Set(picture.bytes).count > 100)
  }
}
