internal import CVolumes

/// The directories of a TIFF (6.0) or BigTIFF file, and whether their strips or tiles lie inside the file.
enum TIFFStructure {
  static let signatures: [[UInt8]] = [
    [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0, 8, 0, 0, 0], [0x4D, 0x4D, 0, 43, 0, 8, 0, 0],
  ]
  /// As many as libtiff goes through.
  private static let mostDirectories = 1 << 20

  /// What one page is.
  struct Page: Equatable {
    var height: Int
    var width: Int
    var pixels: PixelType
    var inverted: Bool
    var bytes: Int { height * width * pixels.bytes }
  }

  static func inspect(_ file: borrowing FileBytes) throws(FormatFault) -> InspectedImage {
    let header = try TIFFHeader(file)
    var first: (page: Page, directory: TIFFDirectory)?
    var pages: [Int] = []
    var places: Set<Int> = []
    var place = header.first
    // Directories and lists of strips of an honest file do not overlap; those that do could make any amount of work.
    var listed = 0
    while place != 0 {
      guard places.insert(place).inserted, places.count <= mostDirectories else {
        throw .unusable("its directories lead back to the one at byte \(place)")
      }
      let start = place
      let directory = try TIFFDirectory(file, header, at: start)
      place = directory.next
      listed += directory.size
      guard listed <= file.size else { throw .unusable("its directories overlap") }
      // Reduced copies and masks stand beside the picture itself.
      if let type = try directory.value(.subfileType, file), type & 0b101 != 0 { continue }
      let page = try describe(directory, file)
      if let first, first.page != page {
        throw .unusable("page \(pages.count + 1) has another size or kind of pixels than page 1")
      }
      listed += try TIFFData.check(directory, page, file)
      if first == nil { first = (page, directory) }
      pages.append(start)
    }
    guard let first else { throw .unusable("none of its pages is a full picture") }
    return try image(first.page, first.directory, pages, header, file)
  }

  private static func image(
    _ page: Page, _ directory: TIFFDirectory, _ pages: [Int], _ header: TIFFHeader, _ file: borrowing FileBytes
  ) throws(FormatFault) -> InspectedImage {
    let metadata = try TIFFMetadata(directory, file)
    guard metadata.channels == 1 else {
      throw .unusable("its metadata tell of \(metadata.channels) channels; sections have one")
    }
    let facts = ImageFacts(
      sections: pages.count, height: page.height, width: page.width, pixels: page.pixels,
      pixelSize: metadata.pixelSize)
    var image = InspectedImage(
      kind: .tiff(directories: pages), facts: facts, inverted: page.inverted, fileSize: file.size)
    if pages.count == 1, metadata.planesBehind > 1,
      let offset = try TIFFData.startOfRun(directory, planes: metadata.planesBehind, page, file)
    {
      image.kind = .raw(offset: offset, bigEndian: header.bigEndian)
      image.facts.sections = metadata.planesBehind
    }
    return image
  }

  private static func describe(
    _ directory: TIFFDirectory, _ file: borrowing FileBytes
  ) throws(FormatFault) -> Page {
    let width = try directory.value(.width, file)
    let height = try directory.value(.height, file)
    guard let width, let height else { throw .unusable("the page has no width or height") }
    try ImageProbe.check(height: height, width: width)
    let photometric = try directory.value(.photometric, file) ?? 1
    let samples = try directory.value(.samples, file) ?? 1
    let bits = try directory.value(.bits, file) ?? 1
    if photometric == 3 {
      guard bits == 8, samples == 1, try isGreyRamp(directory, file) else {
        throw .unusable("a picture with a colour palette; save it as 8 or 16 bit grey")
      }
    } else if photometric > 1 || samples > 2 {
      throw .unusable(
        "a colour picture (\(samples) samples a pixel); sections are greyscale, save it as 8 or 16 bit grey")
    }
    if samples != 1 { throw .unusable("\(samples) samples a pixel; sections have one, save it without transparency") }
    let format = try directory.value(.format, file) ?? 1
    // 4 is "undefined", which cameras write for plain numbers.
    guard let pixels = PixelType(format: format == 4 ? 1 : format, bits: bits) else {
      throw .unusable(
        "\(bits) bits a pixel in sample format \(format); read are integers of 8, 16 and 32 bits and floats of 16, 32 and 64"
      )
    }
    let compression = try directory.value(.compression, file) ?? 1
    guard cimages_tiff_decodes(UInt16(clamping: compression)) != 0 else {
      throw .unusable("compression \(compression) is not read; save it with LZW, deflate or none")
    }
    return Page(height: height, width: width, pixels: pixels, inverted: photometric == 0)
  }

  /// SEMs of Zeiss write grey pictures with a palette in which a few entries are colours for annotations.
  private static func isGreyRamp(
    _ directory: TIFFDirectory, _ file: borrowing FileBytes
  ) throws(FormatFault) -> Bool {
    guard let entry = directory.entry(.colourMap), entry.count == 768 else { return false }
    let map = try directory.values(entry, 0..<768, file)
    let grey = (0..<256).count { i in [0, 256, 512].allSatisfy { abs(map[i + $0] - 257 * i) <= 257 } }
    return grey >= 224
  }
}
