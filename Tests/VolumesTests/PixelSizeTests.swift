import Testing

@testable import Volumes

/// Pixel sizes as microscopes and programs write them into TIFF and PNG files.
@Suite struct PixelSizeTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func facts(_ extra: [TIFFBuilder.Extra], pages: Int = 1, stack: Bool = true) throws -> ImageFacts? {
    var builder = TIFFBuilder(pages: [[UInt64]](repeating: [UInt64](repeating: 9, count: 35), count: pages))
    builder.extra = extra
    builder.rowsPerStrip = 5
    let path = folder.file("picture.tif")
    try put(builder.bytes() + [UInt8](repeating: 9, count: stack ? 70 : 0), path)
    guard case .complete(let facts) = ImageProbe.probe(path, ImageOptions(stack: .sections)) else {
      Issue.record("\(ImageProbe.probe(path))")
      return nil
    }
    return facts
  }

  @Test func microscopesSayItInTheirOwnTexts() throws {
    let fei = "[Beam]\r\nPixelWidth=9\r\n[Scan]\r\nPixelWidth=4.5e-009\r\nPixelHeight=5e-009\r\n"
    for tag in [34680, 34682] {
      let size = try facts([.text(tag, fei), .fraction(282, 64, 1), .fraction(283, 64, 1)])?.pixelSize
      #expect(abs((size?.x ?? 0) - 4.5) < 1e-9 && abs((size?.y ?? 0) - 5) < 1e-9)
    }
    let zeiss = "0\r\nAP_PIXEL_SIZE\r\nPixel Size = 5.825 nm\r\nDP_X\r\nX = 1\r\n"
    #expect(try facts([.text(34118, zeiss)])?.pixelSize == PixelSize(y: 5.825, x: 5.825))
    let scaled = zeiss + "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 0.5 \u{B5}m\r\n"
    #expect(try facts([.text(34118, scaled)])?.pixelSize == PixelSize(y: 500, x: 500))
  }

  @Test func imageJSaysItByUnitAndResolution() throws {
    let text = "ImageJ=1.53t\nunit=micron\nspacing=0.04\nloop=false\n"
    let size = try facts([.text(270, text), .fraction(282, 250, 1), .fraction(283, 500, 2)])?.pixelSize
    #expect(size == PixelSize(z: 40, y: 4, x: 4))
    let pixels = "ImageJ=1.53t\nunit=pixel\n"
    #expect(try facts([.text(270, pixels), .fraction(282, 1, 1), .fraction(283, 1, 1)])?.pixelSize == nil)
  }

  @Test func largeStacksOfImageJHaveOneDirectory() throws {
    let text = "ImageJ=1.53t\nimages=3\nslices=3\n"
    #expect(try facts([.text(270, text)])?.sections == 3)
    let path = folder.file("picture.tif")
    truncate(path, try contents(path).count - 1)
    guard case .incomplete = ImageProbe.probe(path) else {
      Issue.record("\(ImageProbe.probe(path))")
      return
    }
  }

  @Test func channelsAreNoSections() throws {
    for text in ["ImageJ=1.5\nimages=2\nchannels=2\n", "<OME><Image><Pixels SizeC=\"2\" SizeZ=\"1\"/></Image></OME>"] {
      var builder = TIFFBuilder(pages: [[UInt64](repeating: 9, count: 35)])
      builder.extra = [.text(270, text)]
      try put(builder.bytes(), folder.file("channels"))
      guard case .unusable(let reason) = ImageProbe.probe(folder.file("channels")) else {
        Issue.record("taken")
        continue
      }
      #expect(reason.contains("2 channels"))
    }
  }

  @Test func OMESaysItByAttributes() throws {
    func text(_ attributes: String) -> TIFFBuilder.Extra {
      .text(
        270,
        "<?xml version=\"1.0\"?><ome:OME><ome:Image ID=\"Image:0\"><ome:Pixels \(attributes) SizeC=\"1\"/></ome:OME>")
    }
    let plain = "PhysicalSizeX=\"0.004\" PhysicalSizeY=\"0.008\""
    #expect(try facts([text(plain)])?.pixelSize == PixelSize(y: 8, x: 4))
    let units =
      "PhysicalSizeX=\"4\" PhysicalSizeXUnit=\"nm\" PhysicalSizeY=\"80\" PhysicalSizeYUnit=\"Å\" PhysicalSizeZ=\"0.03\""
    #expect(try facts([text(units)])?.pixelSize == PixelSize(z: 30, y: 8, x: 4))
  }

  @Test func resolutionCountsUnlessItIsAPrinters() throws {
    func size(_ unit: Int, _ perUnit: Int) throws -> PixelSize? {
      try facts([.fraction(282, perUnit, 1), .fraction(283, perUnit, 1), .short(296, unit)])?.pixelSize
    }
    #expect(try size(3, 2_500_000) == PixelSize(y: 4, x: 4))
    #expect(try size(2, 2_540_000) == PixelSize(y: 10, x: 10))
    for (unit, perUnit) in [(2, 72), (2, 300), (3, 118), (1, 2_500_000), (2, 0)] {
      #expect(try size(unit, perUnit) == nil, "\(unit) \(perUnit)")
    }
  }

  @Test func reducedCopiesAreNoSections() throws {
    #expect(try facts([.short(254, 0)], pages: 3)?.sections == 3)
    var builder = TIFFBuilder(pages: [[UInt64](repeating: 9, count: 35)])
    builder.extra = [.short(254, 1)]
    try put(builder.bytes(), folder.file("reduced"))
    guard case .unusable = ImageProbe.probe(folder.file("reduced")) else {
      Issue.record("taken")
      return
    }
  }

  @Test func aGreyPaletteIsGrey() throws {
    var ramp = (0..<3).flatMap { _ in (0..<256).map { 257 * $0 } }
    for colour in [9, 18, 200] { ramp[colour] = 65535 }
    #expect(try facts([.shorts(320, ramp), .short(262, 3)])?.pixels == .u8)
  }

  @Test(arguments: [("nm", 1.0), (" \u{3BC}m", 1e3), ("\\u00B5m", 1e3), ("Micron", 1e3), ("m", 1e9), ("A", 0.1)])
  func unitsByTheirNames(name: String, nanometres: Double) {
    #expect(PixelSize.nanometres(name) == nanometres)
  }

  @Test func PNGSaysItByPixelsPerMetre() throws {
    func size(_ perMetre: UInt32, unit: UInt8) throws -> PixelSize? {
      let rows = [[UInt8]](repeating: [1, 2], count: 3)
      try put(
        PNGBuilder.bytes(height: 3, width: 2, bits: 8, colour: 0, rows: rows, perMetre: (perMetre, unit)),
        folder.file("p.png"))
      guard case .complete(let facts) = ImageProbe.probe(folder.file("p.png")) else { return nil }
      return facts.pixelSize
    }
    #expect(try size(250_000_000, unit: 1) == PixelSize(y: 4, x: 4))
    #expect(try size(250_000_000, unit: 0) == nil)
    #expect(try size(2835, unit: 1) == nil)
  }
}

import Glibc
