/// What programs and microscopes write into a TIFF beside the pixels, as far as sections need it.
struct TIFFMetadata {
  /// From the microscope's own text, else OME, else ImageJ, else the resolution tags.
  private(set) var pixelSize: PixelSize?
  /// More than one where OME or ImageJ say so.
  private(set) var channels = 1
  /// Planes that ImageJ says there are, whatever the directories say.
  private(set) var planesBehind = 1

  /// A resolution that makes larger pixels than this is one of a printer: 72 dots an inch are 353 micrometres.
  static let largestFromResolution = 1e4

  init(_ directory: TIFFDirectory, _ file: borrowing FileBytes) throws(FormatFault) {
    let description = try directory.text(.description, file) ?? ""
    let perUnit: (x: Double, y: Double)?
    if let x = try directory.fraction(.xResolution, file), let y = try directory.fraction(.yResolution, file) {
      perUnit = (x, y)
    } else {
      perUnit = nil
    }
    if let text = try directory.text(.feiHelios, file) {
      pixelSize = Self.fei(text)
    } else if let text = try directory.text(.feiSFEG, file) {
      pixelSize = Self.fei(text)
    } else if let text = try directory.text(.zeiss, file) {
      pixelSize = Self.zeiss(text)
    } else if description.hasPrefix("ImageJ=") {
      readImageJ(description, perUnit)
    } else if let pixels = Self.element("Pixels", of: description) {
      readOME(pixels)
    }
    if pixelSize == nil, let perUnit {
      let unit = try directory.value(.resolutionUnit, file) ?? 2
      let nanometres = unit == 2 ? 2.54e7 : unit == 3 ? 1e7 : 0
      let found = PixelSize(y: nanometres / perUnit.y, x: nanometres / perUnit.x)
      if let found, max(found.x, found.y) <= Self.largestFromResolution { pixelSize = found }
    }
  }

  /// `PixelWidth=3.3724e-009` of the section `[Scan]`, metres; where there is no such section, of any.
  private static func fei(_ text: String) -> PixelSize? {
    var section: Substring = ""
    var found: [String: Double] = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("[") {
        section = line
        continue
      }
      for key in ["PixelWidth", "PixelHeight"] where line.hasPrefix(key + "=") {
        guard found[key] == nil || section == "[Scan]" else { continue }
        found[key] = Double(line.dropFirst(key.count + 1))
      }
    }
    guard let x = found["PixelWidth"], let y = found["PixelHeight"] else { return nil }
    return PixelSize(y: y * 1e9, x: x * 1e9)
  }

  /// `Image Pixel Size = 5.825 nm`, else `Pixel Size = 5.825 nm`, each on the line after its key.
  private static func zeiss(_ text: String) -> PixelSize? {
    let lines = text.split(whereSeparator: \.isNewline)
    for key in ["AP_IMAGE_PIXEL_SIZE", "AP_PIXEL_SIZE"] {
      guard let place = lines.firstIndex(where: { $0 == key }), place + 1 < lines.count,
        let value = lines[place + 1].split(separator: "=").last?.split(separator: " "), value.count == 2,
        let number = Double(value[0]), let unit = PixelSize.nanometres(value[1])
      else { continue }
      if let size = PixelSize(y: number * unit, x: number * unit) { return size }
    }
    return nil
  }

  private mutating func readImageJ(_ text: String, _ perUnit: (x: Double, y: Double)?) {
    var values: [Substring: Substring] = [:]
    for line in text.split(whereSeparator: { $0.isNewline || $0 == "\0" }) {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { values[parts[0]] = parts[1] }
    }
    channels = max(1, values["channels"].flatMap { Int($0) } ?? 1)
    planesBehind = max(1, values["images"].flatMap { Int($0) } ?? 1)
    guard let perUnit, let unit = values["unit"].flatMap({ PixelSize.nanometres($0) }) else { return }
    let y = values["yunit"].flatMap { PixelSize.nanometres($0) } ?? unit
    let z = values["zunit"].flatMap { PixelSize.nanometres($0) } ?? unit
    pixelSize = PixelSize(
      z: values["spacing"].flatMap { Double($0) }.map { $0 * z }, y: y / perUnit.y, x: unit / perUnit.x)
  }

  private mutating func readOME(_ pixels: Substring) {
    channels = max(1, Self.attribute("SizeC", of: pixels).flatMap { Int($0) } ?? 1)
    func size(_ axis: String) -> Double? {
      guard let number = Self.attribute("PhysicalSize" + axis, of: pixels).flatMap({ Double($0) }) else { return nil }
      guard let unit = Self.attribute("PhysicalSize" + axis + "Unit", of: pixels) else { return number * 1e3 }
      return PixelSize.nanometres(unit).map { number * $0 }
    }
    if let y = size("Y"), let x = size("X") { pixelSize = PixelSize(z: size("Z"), y: y, x: x) }
  }

  /// The first start tag of an XML element, prefixed or not.
  private static func element(_ name: String, of text: String) -> Substring? {
    var rest = Substring(text)
    while let open = rest.firstIndex(of: "<") {
      rest = rest[rest.index(after: open)...]
      let tag = rest.prefix { $0 != ">" }
      if let word = tag.split(whereSeparator: \.isWhitespace).first, word == name || word.hasSuffix(":" + name) {
        return tag
      }
    }
    return nil
  }

  private static func attribute(_ name: String, of tag: Substring) -> Substring? {
    for part in tag.split(whereSeparator: \.isWhitespace) where part.hasPrefix(name + "=") {
      let value = part.dropFirst(name.count + 1)
      guard let quote = value.first, quote == "\"" || quote == "'" else { continue }
      return value.dropFirst().prefix { $0 != quote }
    }
    return nil
  }
}
