import ArgumentParser
import Foundation
import Volumes

/// `fgnetd inspect`: what the intake sees in files, without taking them in.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Say what is read of image files: sections, size, numbers, pixel size.",
    discussion: "Nothing is taken in. Ends with status 65 if a file is not whole, or not one that is read.")

  @Argument(help: "The files.") var files: [String]
  @Option(help: "Dataset of HDF5 files.") var dataset: String?
  @Flag(help: "A line of JSON for each file.") var json = false

  struct Line: Codable, Equatable {
    var file: String
    var sections: Int?
    var height: Int?
    var width: Int?
    var type: String?
    /// Nanometres, z y x; z is absent where the file does not tell.
    var pixelSizeNm: [Double]?
    /// Mean grey value of the first section, 0 to 1.
    var mean: Double?
    /// Why it is not taken in.
    var fault: String?
  }

  func run() throws {
    let lines = files.map(line)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    for line in lines {
      print(json ? String(decoding: try encoder.encode(line), as: UTF8.self) : text(line))
    }
    let faults = lines.count { $0.fault != nil }
    if faults > 0 { throw OperatorError("\(faults) of \(lines.count) files would be set aside", status: .badData) }
  }

  private func line(_ path: String) -> Line {
    let options = ImageOptions(stack: .sections, dataset: dataset)
    var line = Line(file: path)
    switch ImageProbe.probe(path, options) {
    case .incomplete(let reason): line.fault = "not whole: " + reason
    case .unusable(let reason), .unreadable(let reason): line.fault = reason
    case .complete(let facts):
      (line.sections, line.height, line.width) = (facts.sections, facts.height, facts.width)
      line.type = facts.pixels.rawValue
      line.pixelSizeNm = facts.pixelSize.map { [$0.z, $0.y, $0.x].compactMap { $0 } }
      do { line.mean = try ImageReader.read(path, options).statistics().mean } catch {
        line.fault = error.description
      }
    }
    return line
  }

  private func text(_ line: Line) -> String {
    if let fault = line.fault { return "\(line.file): \(fault)" }
    let size = line.pixelSizeNm.map { "voxels of " + $0.map { "\($0)" }.joined(separator: " x ") + " nm" }
    return "\(line.file): \(line.sections ?? 0) x \(line.height ?? 0) x \(line.width ?? 0), \(line.type ?? ""), "
      + (size ?? "no pixel size")
  }
}
