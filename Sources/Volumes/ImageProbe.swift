import Glibc

/// What a look at a file's structure says, without decoding it.
public enum ImageProbeResult: Sendable, Equatable {
  /// Whole, and of a kind that `ImageReader` reads.
  case complete(ImageFacts)
  /// Not (yet) whole: more bytes may come.
  case incomplete(reason: String)
  /// Will not become usable by waiting.
  case unusable(reason: String)
  /// Nothing is known of it: the file cannot be opened, or its disk fails.
  case unreadable(reason: String)
}

/// Tells whether an image file is structurally whole: header, directories and all pixel data lie inside the file.
public enum ImageProbe {
  /// Largest width and height taken in.
  public static let largestSide = 65536

  /// Looks at the structure of a file. Reads only its headers, and never fails otherwise than by its result.
  public static func probe(_ path: String, _ options: ImageOptions = ImageOptions()) -> ImageProbeResult {
    do throws(FormatFault) {
      let facts = try inspect(path, options).facts
      if options.stack == .refuse, facts.sections > 1 {
        throw .unusable(
          "it holds \(facts.sections) sections; set `stack: sections` for the volume, or write each to "
            + "a file of its own")
      }
      return .complete(facts)
    } catch {
      switch error {
      case .incomplete(let reason): return .incomplete(reason: reason)
      case .unusable(let reason): return .unusable(reason: reason)
      case .unreadable(let reason): return .unreadable(reason: "it cannot be read: \(reason)")
      }
    }
  }

  static func inspect(_ path: String, _ options: ImageOptions) throws(FormatFault) -> InspectedImage {
    let file: FileBytes
    do throws(SystemFailure) {
      file = try FileBytes(path: path)
    } catch {
      if error.number == EISDIR { throw .unusable("not a regular file") }
      throw .unreadable(Files.message(error.number))
    }
    do throws(FormatFault) {
      guard file.size > 0 else { throw .incomplete("the file is empty") }
      guard let head = file.read(at: 0, count: min(16, file.size)) else { throw .incomplete("the file is cut short") }
      if head.allSatisfy({ $0 == 0 }) { throw .incomplete("the file begins with zeros only") }
      return try inspect(file, head, path, options)
    } catch {
      // A disk that fails makes any file look cut short.
      guard let number = file.failure else { throw error }
      throw .unreadable(Files.message(number))
    }
  }

  private static func inspect(
    _ file: borrowing FileBytes, _ head: [UInt8], _ path: String, _ options: ImageOptions
  ) throws(FormatFault) -> InspectedImage {
    func begins(_ signature: [UInt8]) -> Bool { head.starts(with: signature.prefix(head.count)) }
    if begins(PNGStructure.signature) { return try PNGStructure.inspect(file) }
    if TIFFStructure.signatures.contains(where: begins) { return try TIFFStructure.inspect(file) }
    if begins(HDF5Structure.signature) { return try HDF5Structure.inspect(file, path, dataset: options.dataset) }
    if DMStructure.signatures.contains(where: begins) { return try DMStructure.inspect(file) }
    if MRCStructure.isPlausible(head) { return try MRCStructure.inspect(file) }
    throw .unusable("neither a TIFF, PNG, MRC, DM3, DM4 nor HDF5 file: it begins with \(shown(head))")
  }

  /// nil when the sides are acceptable.
  static func refusal(height: Int, width: Int) -> String? {
    if height < 1 || width < 1 { return "the picture has no pixels" }
    if height > largestSide || width > largestSide {
      return "\(width) x \(height) pixels are more than \(largestSide) a side"
    }
    return nil
  }

  /// - Throws: `.unusable` for sides that are not acceptable.
  static func check(height: Int, width: Int) throws(FormatFault) {
    if let refusal = refusal(height: height, width: width) { throw .unusable(refusal) }
  }

  private static func shown(_ head: [UInt8]) -> String {
    let head = head.prefix(8)
    if head.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return "the text \"\(String(decoding: head, as: UTF8.self))\"" }
    return "the bytes " + head.map { String($0, radix: 16) }.joined(separator: " ")
  }
}
