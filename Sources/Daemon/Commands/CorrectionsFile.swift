import DB

/// Corrections read from comma-separated values.
///
/// | column | |
/// |---|---|
/// | `action` | merge, split, confirm, lock, annotate |
/// | `volume` | its name; may be left out if there is only one |
/// | `a`, `b` | places: a fragment's or segment's number, or a voxel as `z:y:x`; `b` for merge, split and confirm |
/// | `reason` | why; of annotate, the note |
/// | `actor` | who decided; may be left out |
///
/// A split without `b` takes fragments out of their segment: `a` holds one number or several, with blanks between.
struct CorrectionsFile {
  /// An edit and the line it stands on.
  var edits: [(line: Int, edit: Edit)] = []
  /// What is wrong with which line, in a sentence each.
  var faults: [(line: Int, text: String)] = []

  private static let columns = ["action", "volume", "a", "b", "reason", "actor"]
  private static let needed = ["action", "a", "reason"]

  /// - Parameter volume: for lines that name none; nil if it must be named.
  init(_ table: CSVTable, volume: String?) throws(OperatorError) {
    let names = table.header.map { $0.trimmed.lowercased() }
    if let stranger = names.first(where: { !Self.columns.contains($0) }) {
      throw OperatorError(
        "line 1: there is no column \(stranger); there are \(Self.columns.joined(separator: ", "))", status: .badData)
    }
    if let twice = names.first(where: { name in names.count(where: { $0 == name }) > 1 }) {
      throw OperatorError("line 1: the column \(twice) is there twice", status: .badData)
    }
    if let lacking = Self.needed.first(where: { !names.contains($0) }) {
      throw OperatorError("line 1: the column \(lacking) is not there", status: .badData)
    }
    for record in table.records {
      do throws(OperatorError) {
        guard record.fields.count == names.count else {
          throw OperatorError("\(record.fields.count) fields under \(names.count) names")
        }
        var values: [String: String] = [:]
        for (name, field) in zip(names, record.fields) where !field.trimmed.isEmpty { values[name] = field.trimmed }
        edits.append((record.line, try Self.edit(values, volume)))
      } catch {
        faults.append((record.line, error.description))
      }
    }
  }

  private static func edit(_ values: [String: String], _ volume: String?) throws(OperatorError) -> Edit {
    let word = values["action"] ?? ""
    guard let action = Edit.Action(rawValue: word.lowercased()) else {
      let all = Edit.Action.allCases.map(\.rawValue).joined(separator: ", ")
      throw OperatorError("action: \(word.isEmpty ? "it is missing" : "\(word) is none"); there are \(all)")
    }
    guard let volume = values["volume"] ?? volume else { throw OperatorError("volume: name it, there are several") }
    guard let reason = values["reason"] else { throw OperatorError("reason: say why") }
    guard let first = values["a"] else { throw OperatorError("a: it is missing") }
    let second = try values["b"].map { (text) throws(OperatorError) in try end(text, "b") }
    var a: EditEnd
    switch action {
    case .split where second == nil:
      let numbers = first.split(separator: " ").map { Int64($0) ?? 0 }
      guard numbers.allSatisfy({ $0 > 0 }) else {
        throw OperatorError(
          "a: \(first) are no numbers of fragments; without b, they are what is taken out of the segment")
      }
      a = .fragments(numbers)
    case .lock, .annotate:
      if second != nil { throw OperatorError("b: \(action.rawValue) takes one place") }
      a = try end(first, "a")
    default:
      if second == nil { throw OperatorError("b: \(action.rawValue) takes two places") }
      a = try end(first, "a")
    }
    return Edit(action: action, volume: volume, a: a, b: second, reason: reason, actor: values["actor"])
  }

  /// A number, or a voxel.
  private static func end(_ text: String, _ column: String) throws(OperatorError) -> EditEnd {
    if let id = Int64(text), id > 0 { return .id(id) }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int32($0.trimmed) }
    if parts.count == 3, let z = parts[0], let y = parts[1], let x = parts[2] { return .voxel(z: z, y: y, x: x) }
    throw OperatorError("\(column): \(text) is no number of a fragment or segment, and no voxel z:y:x")
  }
}

extension StringProtocol {
  /// Without blanks at both ends.
  fileprivate var trimmed: String {
    let start = drop { $0.isWhitespace }
    guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...last])
  }
}
