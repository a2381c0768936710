import DB
import Domain
import Foundation
import Volumes

/// Final sections of a volume, written as image and labels for the trainer.
struct TrainingExport {
  let path: String
  private let rows: [SectionRow]
  private let segments: Set<UInt64>?
  private let height: Int
  private let width: Int
  private let bitDepth: Int
  private let voxelSize: VoxelSize

  /// - Parameters:
  ///   - output: an HDF5 file, or a folder for VOLUME.h5 in it.
  ///   - segments: those to keep; nil for all.
  init(_ segmented: SegmentedVolume, output: String, segments: Set<UInt64>?) throws {
    let name = segmented.volume.name
    let isFile = [".h5", ".hdf5"].contains { output.lowercased().hasSuffix($0) }
    path = isFile ? output : (output.hasSuffix("/") ? output : output + "/") + name + ".h5"
    if let character = path.first(where: { ",:[".contains($0) }) {
      throw OperatorError(
        "\(path) holds a \"\(character)\", at which fgnet-train would cut it; choose another name", status: .usage)
    }
    rows = segmented.sections.filter { $0.state == .final }
    guard let first = rows.first, let height = first.height, let width = first.width else {
      throw OperatorError("volume \(name) has no final sections yet; see fgnetd status", status: .noInput)
    }
    self.segments = segments
    (self.height, self.width) = (height, width)
    bitDepth = rows.contains { $0.bitDepth == 16 } ? 16 : 8
    voxelSize = segmented.volume.voxelSize
  }

  /// Writes the file; nothing is left behind if a listed segment is not there.
  func write(_ segmented: SegmentedVolume) throws {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
      throw OperatorError("the folder \(folder) cannot be made; choose another", status: .cannotCreate)
    }
    let writer = try TrainingVolumeWriter(
      path: path, sections: rows.map(\.z), height: height, width: width, bitDepth: bitDepth,
      voxelSize: (voxelSize.z, voxelSize.y, voxelSize.x), attributes: attributes(segmented))
    var missing = segments ?? []
    for row in rows {
      var labels = try segmented.segments(row)
      if let segments {
        labels.storage = labels.storage.map { segments.contains($0) ? $0 : 0 }
        missing.subtract(labels.storage)
      }
      try writer.append(image: segmented.image(row), labels: labels)
    }
    if !missing.isEmpty {
      let names = missing.sorted().prefix(5).map(String.init).joined(separator: ", ")
      throw OperatorError(
        "\(missing.count) of the \(segments?.count ?? 0) segments listed are not in the final sections of volume "
          + "\(segmented.volume.name): \(names); they may have merged (fgnet.segment.successor_id says into what)",
        status: .noInput)
    }
    try writer.finish()
  }

  private func attributes(_ segmented: SegmentedVolume) throws -> [String: String] {
    let volume = segmented.volume
    let runs = Set(rows.compactMap(\.runID)).sorted().map(String.init).joined(separator: ",")
    let models = try segmented.record.connection.execute(
      "select string_agg(distinct model_hash, ',' order by model_hash) from fgnet.run where run_id in (\(runs.isEmpty ? "0" : runs))"
    ).optionalText(0, 0)
    let kept = segments.map { $0.sorted().map(String.init).joined(separator: ",") } ?? "all"
    return [
      "volume": volume.name, "written_by": "fgnetd \(Version.current)",
      "voxel_size_nm": "\(Self.number(voxelSize.z)) \(Self.number(voxelSize.y)) \(Self.number(voxelSize.x))",
      "as_of_operation": String(try segmented.record.lastOperation(volume: volume.id) ?? 0),
      "first_z": String(rows.first?.z ?? 0), "last_z": String(rows.last?.z ?? 0),
      "runs": runs, "model_sha256": models ?? "none",
      "segments": kept.utf8.count < 60_000 ? kept : "\(segments?.count ?? 0) listed",
    ]
  }

  /// What was written, in a line.
  var summary: String {
    guard let first = rows.first?.z, let last = rows.last?.z else { return path }
    let present = Set(rows.map(\.z))
    let left = (first...last).filter { !present.contains($0) }
    let names = left.prefix(8).map(String.init).joined(separator: ", ") + (left.count > 8 ? ", ..." : "")
    return "\(path): \(rows.count) final sections of \(height) x \(width), \(bitDepth) bit, z \(first) to \(last)"
      + (left.isEmpty ? "" : "; \(left.count) that are missing or not final are left out: \(names)")
  }

  /// The command to train on it.
  var command: String {
    let source = "\(path):image,\(path):labels" + (segments == nil ? "" : ",zero=ignore")
    let size = [voxelSize.z, voxelSize.y, voxelSize.x].map(Self.number).joined(separator: " ")
    return "fgnet-train --output runs/NAME --source \(Self.quoted(source)) --voxel-size \(size)"
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
  }

  private static func quoted(_ text: String) -> String {
    text.allSatisfy { $0.isLetter || $0.isNumber || "/._-:,=".contains($0) }
      ? text : "'" + text.replacing("'", with: #"'\''"#) + "'"
  }
}

/// Segments named on the command line or in a file.
enum SegmentList {
  /// - Parameter text: ids separated by commas, or the path of a file of ids separated by commas, blanks or line ends, where
  ///   `#` begins a comment.
  static func read(_ text: String) throws -> Set<UInt64> {
    var list = text
    if FileManager.default.fileExists(atPath: text) {
      guard let data = FileManager.default.contents(atPath: text), let content = String(data: data, encoding: .utf8)
      else {
        throw OperatorError("\(text) cannot be read as text; check its permissions", status: .noInput)
      }
      list = content.split { $0.isNewline }.map { $0.prefix { $0 != "#" } }.joined(separator: " ")
    }
    let words = list.split { $0 == "," || $0.isWhitespace }
    var ids: Set<UInt64> = []
    for word in words {
      guard let id = UInt64(word), id != 0 else {
        throw OperatorError(
          "--segments \(text): \(word) is no segment id, and not a file that exists", status: .usage)
      }
      ids.insert(id)
    }
    guard !ids.isEmpty else { throw OperatorError("--segments \(text) names no segment", status: .usage) }
    return ids
  }
}
