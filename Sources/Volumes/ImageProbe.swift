import Glibc

/// What a look at a file's structure says, without decoding it.
public enum ImageProbeResult: Sendable, Equatable {
  /// Whole, and of a kind that `ImageReader` reads.
  case complete(height: Int, width: Int, bitDepth: Int)
  /// Not (yet) whole: more bytes may come.
  case incomplete(reason: String)
  /// Will not become usable by waiting.
  case unusable(reason: String)
}

/// Tells whether an image file is structurally whole: header, directory and all pixel data lie inside the file.
public enum ImageProbe {
  /// Largest width and height taken in.
  public static let largestSide = 65536

  /// Looks at the structure of a TIFF or PNG file. Reads only its headers, and never fails otherwise than by its result.
  public static func probe(_ path: String) -> ImageProbeResult {
    switch inspect(path) {
    case .whole(let found): .complete(height: found.height, width: found.width, bitDepth: found.bitDepth)
    case .incomplete(let reason): .incomplete(reason: reason)
    case .unusable(let reason): .unusable(reason: reason)
    }
  }

  static func inspect(_ path: String) -> Inspection {
    let file: FileBytes
    do {
      file = try FileBytes(path: path)
    } catch {
      if error.number == EISDIR { return .unusable("not a regular file") }
      return .incomplete("cannot be opened: \(Files.message(error.number))")
    }
    guard file.size > 0 else { return .incomplete("the file is empty") }
    guard let head = file.read(at: 0, count: min(8, file.size)) else { return .incomplete("the file cannot be read") }
    if head.allSatisfy({ $0 == 0 }) { return .incomplete("the file begins with zeros only") }
    if head.starts(with: PNGStructure.signature.prefix(head.count)) { return PNGStructure.inspect(file) }
    if TIFFStructure.signatures.contains(where: { head.starts(with: $0.prefix(head.count)) }) {
      return TIFFStructure.inspect(file)
    }
    return .unusable("neither a TIFF nor a PNG file: it begins with \(shown(head))")
  }

  /// nil when the sides are acceptable.
  static func refusal(height: Int, width: Int) -> String? {
    if height < 1 || width < 1 { return "the picture has no pixels" }
    if height > largestSide || width > largestSide {
      return "\(width) x \(height) pixels are more than \(largestSide) a side"
    }
    return nil
  }

  private static func shown(_ head: [UInt8]) -> String {
    if head.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return "the text \"\(String(decoding: head, as: UTF8.self))\"" }
    return "the bytes " + head.map { String($0, radix: 16) }.joined(separator: " ")
  }
}

/// What `ImageReader` needs to know before it decodes.
enum Inspection {
  case whole(InspectedImage)
  case incomplete(String)
  case unusable(String)
}

struct InspectedImage {
  enum Kind { case tiff, png }
  var kind: Kind
  var height: Int
  var width: Int
  var bitDepth: Int
  /// White is stored as 0.
  var inverted: Bool
  var fileSize: Int

  /// Bytes of the decoded pixels.
  var decodedSize: Int { height * width * (bitDepth / 8) }
}
