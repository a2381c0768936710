import Domain
import Foundation

/// What `fgnetd ingest --report` writes: a line of JSON for each section when its rows have become final.
final class SectionReport {
  struct Line: Codable, Equatable {
    var volume: String
    var z: SectionNumber
    /// Since the program began.
    var seconds: Double
    /// Multiply-adds of the volume's network so far.
    var operations: Int
    /// Memory of the process that is resident now.
    var rssBytes: Int
    /// Seconds spent so far, by stage.
    var stages: [String: Double]

    enum CodingKeys: String, CodingKey {
      case volume, z, seconds, operations, stages
      case rssBytes = "rss_bytes"
    }
  }

  private let file: FileHandle
  private let path: String
  private let began: ContinuousClock.Instant
  private let encoder = JSONEncoder()

  /// Makes the file, or empties it.
  /// - Throws: a sentence that names the file.
  init(_ path: String, began: ContinuousClock.Instant) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
    else {
      throw OperatorError(
        "the report \(path) cannot be written; name another file with --report", status: .cannotCreate)
    }
    self.file = file
    self.path = path
    self.began = began
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  }

  /// Adds a line; the file holds it when this returns.
  func add(volume: String, z: SectionNumber, operations: Int, stages: [String: Double]) throws {
    let line = Line(
      volume: volume, z: z, seconds: (ContinuousClock.now - began) / .seconds(1), operations: operations,
      rssBytes: ProcessMemory.resident, stages: stages)
    do { try file.write(contentsOf: encoder.encode(line) + Data("\n".utf8)) } catch {
      throw OperatorError("the report \(path) cannot be written: \(error.localizedDescription)", status: .cannotCreate)
    }
  }
}

enum ProcessMemory {
  /// Bytes resident now; 0 where the system does not say.
  static var resident: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }
}
