import Domain
import Glibc
import Volumes

/// Writes the first inputs of the fuzzer, a folder for each format, with the builders of the tests and the store's writers.
@main
struct SeedMaker {
  static func main() throws {
    let folder = CommandLine.arguments[1]
    let planes = [(0..<15).map { Double($0 * 8) }, (0..<15).map { Double(127 - $0) }]
    for (i, (mode, type)) in [(0, PixelType.i8), (1, .i16), (2, .f32), (6, .u16), (12, .f16)].enumerated() {
      for bigEndian in [false, true] {
        var builder = MRCBuilder(bigEndian: bigEndian, mode: mode, type: type, planes: planes)
        builder.extended = i == 0 ? 0 : 32
        try put(builder.bytes(), folder, "mrc", "\(mode)\(bigEndian)")
      }
    }
    for isDM4 in [false, true] {
      for (code, type) in [(10, PixelType.u16), (2, .f32)] {
        var builder = DMBuilder(isDM4: isDM4, bigEndian: code == 2, dataType: code, type: type)
        (builder.sides, builder.values) = ([5, 3, 2], planes.flatMap { $0 })
        builder.scales = [(2, "nm"), (0.003, "µm"), (40, "nm")]
        try put(builder.bytes(), folder, "dm", "\(isDM4)\(code)")
      }
    }
    try tiffs(folder)
    let bytes = Plane<UInt8>(height: 9, width: 8, storage: (0..<72).map { UInt8($0) })
    let words = Plane<UInt16>(height: 9, width: 8, storage: (0..<72).map { UInt16($0 * 900) })
    mkdir(folder + "/png", 0o755)
    try PNGWriter.write(gray: bytes, to: folder + "/png/8")
    try PNGWriter.write(gray: words, to: folder + "/png/16")
    let row: [UInt8] = [1, 2, 3, 4]
    let sized = PNGBuilder.bytes(height: 1, width: 2, bits: 16, colour: 0, rows: [row], perMetre: (250_000_000, 1))
    try put(sized, folder, "png", "sized")
    try TIFFWriter.write(words, to: folder + "/tiff/deflate", compression: .deflate)
    try SectionStore(directory: folder + "/hdf5").prepare()
    try SectionStore(directory: folder + "/hdf5").write(SectionProducts(z: 1, image: bytes), name: "store")
    let answer = "dataset 0\nshape 2 3 5\ntype uint8\nstored 30\nnanometres 30 6 6\nend\n"
    try put(Array(answer.utf8), folder, "answer", "whole")
    try put(Array("incomplete it is empty\nend\n".utf8), folder, "answer", "fault")
  }

  static func tiffs(_ folder: String) throws {
    let page = (0..<35).map { UInt64($0) }
    let texts: [TIFFBuilder.Extra] = [
      .text(270, "ImageJ=1.5\nimages=2\nunit=micron\nspacing=0.04\n"), .text(34682, "[Scan]\r\nPixelWidth=4e-9\r\n"),
      .text(34118, "AP_PIXEL_SIZE\r\nPixel Size = 5 nm\r\n"),
      .text(270, "<OME><Pixels SizeC=\"1\" PhysicalSizeX=\"4\" PhysicalSizeXUnit=\"nm\"/></OME>"), .fraction(282, 4, 1),
    ]
    for (i, text) in texts.enumerated() {
      var builder = TIFFBuilder(bigEndian: i % 2 == 1, bigTIFF: i % 3 == 1, pages: [page, page])
      builder.extra = [text]
      try put(builder.bytes(), folder, "tiff", "text\(i)")
    }
    for (bits, format) in [(8, 1), (16, 2), (32, 3), (64, 3)] {
      for tile in [0, 16] {
        var builder = TIFFBuilder(bits: bits, format: format, pages: [page])
        builder.tile = tile
        try put(builder.bytes(), folder, "tiff", "\(bits)-\(tile)")
      }
    }
    try put(TIFFBuilder(compression: 32773, pages: [page]).bytes(), folder, "tiff", "packbits")
  }

  static func put(_ bytes: [UInt8], _ folder: String, _ format: String, _ name: String) throws {
    mkdir(folder + "/" + format, 0o755)
    guard let file = fopen(folder + "/" + format + "/" + name, "w") else {
      throw VolumeError.unwritable(path: folder, reason: String(cString: strerror(errno)))
    }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }
}
