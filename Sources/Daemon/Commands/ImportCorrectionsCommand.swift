import ArgumentParser
import DB
import Foundation

/// `fgnetd import-corrections`: corrections from comma-separated values, all or none.
struct ImportCorrectionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-corrections",
    abstract: "Make the corrections that a CSV file lists, all of them or none.",
    discussion: """
      The first line names the columns, in any order:

        action   merge, split, confirm, lock or annotate, as the SQL functions of these names (docs/proofreading.md)
        volume   may be left out if the configuration has only one
        a, b     places: the number of a fragment or segment, or a voxel as z:y:x. A fragment stands for its segment where one \
      is needed. lock and annotate take a only
        reason   why; of annotate, the note
        actor    who decided; may be left out: the database user

      A split without b takes fragments out of their segment: a holds one number or several with blanks between. Each line sees \
      what the lines above it did. All is one transaction: if a line cannot be done, every line at fault is named and nothing is \
      changed.
      """)

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Flag(help: "Do everything, say what would be done, and take it back.") var dryRun = false
  @Argument(help: "The file; - for standard input.") var file: String

  func run() throws {
    let configuration = try config.load()
    let only = volume.name ?? (configuration.volumes.count == 1 ? configuration.volumes[0].name : nil)
    let table = try Self.read(file)
    let corrections: CorrectionsFile
    do { corrections = try CorrectionsFile(table, volume: only) } catch {
      throw OperatorError("\(file): \(error)", status: .badData)
    }
    let lines = try withRecord(configuration) { try Self.perform(corrections, on: $0, dryRun: dryRun, name: file) }
    lines.forEach { print($0) }
  }

  private static func read(_ file: String) throws -> CSVTable {
    let data = file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: file)
    guard let data else {
      throw OperatorError("\(file) cannot be read; check its name and permissions", status: .noInput)
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw OperatorError("\(file) is not UTF-8; save it as UTF-8", status: .badData)
    }
    do { return try CSVTable(text) } catch { throw OperatorError("\(file): \(error)", status: .badData) }
  }

  /// Makes the corrections in one transaction.
  /// - Returns: a line for each, and one for all.
  /// - Throws: a line for each that cannot be done; then nothing was changed.
  static func perform(
    _ corrections: CorrectionsFile, on record: Record, dryRun: Bool, name: String
  ) throws -> [String] {
    var faults = corrections.faults
    var lines: [String] = []
    var isTakenBack = false
    do {
      try record.connection.transaction { () throws(DatabaseError) in
        for (line, edit) in corrections.edits {
          do throws(DatabaseError) {
            let operation = try record.connection.transaction { () throws(DatabaseError) in try record.edit(edit) }
            lines.append("line \(line): \(edit.action.rawValue), operation \(operation)")
          } catch {
            guard case .server(_, let message) = error, !error.isTransient else { throw error }
            faults.append((line, message))
          }
        }
        if dryRun || !faults.isEmpty {
          isTakenBack = true
          throw .conflict("taken back")
        }
      }
    } catch {
      guard isTakenBack else { throw error }
    }
    if !faults.isEmpty {
      let told = faults.sorted { $0.line < $1.line }.map { "\(name), line \($0.line): \($0.text)" }
      throw OperatorError(
        (told + ["nothing was changed: \(faults.count) of \(faults.count + lines.count) lines cannot be done"])
          .joined(separator: "\n"), status: .badData)
    }
    if dryRun {
      // The numbers of operations were taken back with them.
      let would = corrections.edits.map { "line \($0.line): \($0.edit.action.rawValue) can be done" }
      return would + ["\(would.count) corrections can be made; nothing was changed"]
    }
    return lines + ["\(lines.count) corrections made"]
  }
}
