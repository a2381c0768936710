import Domain
import Yams

/// A fault of the configuration, with the line it stands on.
struct ConfigFault: Sendable, Equatable, CustomStringConvertible {
  var line: Int?
  var text: String
  var description: String { line.map { "line \($0): \(text)" } ?? text }
}

/// Walks a YAML mapping strictly: every key is asked for or reported, every type is checked, and all faults are
/// collected, so that the operator sees them at once.
final class ConfigMapping {
  let path: String
  private let node: Node?
  private let faults: FaultList
  private var asked: Set<String> = []

  init(_ node: Node?, path: String, faults: FaultList) {
    self.path = path
    self.faults = faults
    if let node, node.mapping == nil, node.scalar?.string.isEmpty != true {
      faults.add("\(path.isEmpty ? "the file" : path) must be a list of `key: value` lines", node)
      self.node = nil
    } else {
      self.node = node
    }
  }

  /// Whether the mapping stands in the file at all.
  var isPresent: Bool { node != nil }

  func label(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  func value(_ key: String) -> Node? {
    asked.insert(key)
    return node?.mapping?[key]
  }

  func mapping(_ key: String) -> ConfigMapping {
    ConfigMapping(value(key), path: label(key), faults: faults)
  }

  func sequence(_ key: String) -> [ConfigMapping] {
    guard let node = value(key) else { return [] }
    guard let items = node.sequence else {
      if node.scalar?.string.isEmpty != true { fault("\(label(key)) must be a list (lines that begin with `-`)", node) }
      return []
    }
    return items.enumerated().map { ConfigMapping($1, path: "\(label(key))[\($0)]", faults: faults) }
  }

  func string(_ key: String, default value: String) -> String { optionalString(key) ?? value }

  func optionalString(_ key: String) -> String? {
    guard let node = value(key) else { return nil }
    guard let scalar = node.scalar else {
      fault("\(label(key)) must be a text", node)
      return nil
    }
    return scalar.string.isEmpty ? nil : scalar.string
  }

  func requiredString(_ key: String) -> String {
    if let found = optionalString(key) { return found }
    if value(key)?.scalar?.string.isEmpty ?? true { fault("\(label(key)) is missing", node) }
    return ""
  }

  func bool(_ key: String, default fallback: Bool) -> Bool {
    guard let node = value(key) else { return fallback }
    guard let found = node.bool else {
      fault("\(label(key)) must be true or false", node)
      return fallback
    }
    return found
  }

  func int(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
    guard let node = value(key) else { return fallback }
    guard let found = node.int, range.contains(found) else {
      fault("\(label(key)) must be a whole number from \(range.lowerBound) to \(range.upperBound)", node)
      return fallback
    }
    return found
  }

  func bytes(_ key: String, default fallback: Int, atLeast least: Int) -> Int {
    guard let node = value(key) else { return fallback }
    guard let found = node.scalar.flatMap({ ByteSize.bytes($0.string) }), found >= least else {
      fault("\(label(key)) must be a size such as 4GiB or 6144MiB, at least \(ByteSize.text(least))", node)
      return fallback
    }
    return found
  }

  func double(_ key: String, default fallback: Double, in range: ClosedRange<Double>) -> Double {
    guard let node = value(key) else { return fallback }
    guard let found = number(node), range.contains(found) else {
      fault("\(label(key)) must be a number from \(range.lowerBound) to \(range.upperBound)", node)
      return fallback
    }
    return found
  }

  func optionalDuration(_ key: String) -> Double? {
    guard let node = value(key), let text = node.scalar?.string, !text.isEmpty, text != "never" else { return nil }
    guard let found = seconds(text) else {
      fault("\(label(key)) must be a time such as 500ms, 2s, 10min or 4h, or never", node)
      return nil
    }
    return found
  }

  func duration(_ key: String, default fallback: Double) -> Double {
    guard value(key) != nil else { return fallback }
    return optionalDuration(key) ?? fallback
  }

  func strings(_ key: String, default fallback: [String]) -> [String] {
    guard let node = value(key) else { return fallback }
    guard let items = node.sequence else {
      fault("\(label(key)) must be a list of texts", node)
      return fallback
    }
    return items.compactMap { $0.scalar?.string }
  }

  /// A mapping of texts to texts, as they are written.
  func texts(_ key: String) -> [String: String] {
    guard let node = value(key) else { return [:] }
    guard let mapping = node.mapping else {
      if node.scalar?.string.isEmpty != true { fault("\(label(key)) must be a list of `NAME: value` lines", node) }
      return [:]
    }
    var result: [String: String] = [:]
    for (name, value) in mapping {
      guard let name = name.scalar?.string, let text = value.scalar?.string, !name.isEmpty, !name.contains("=") else {
        fault("\(label(key)) must hold names, each with one text", value)
        continue
      }
      result[name] = text
    }
    return result
  }

  /// The three numbers z, y, x.
  func triple(_ key: String, default fallback: (Double, Double, Double)) -> (Double, Double, Double) {
    guard let node = value(key) else { return fallback }
    let numbers = (node.sequence.map(Array.init) ?? []).compactMap(number)
    guard numbers.count == 3, numbers.allSatisfy({ $0 > 0 && $0 < 1e6 }) else {
      fault("\(label(key)) must be three sizes in nanometres, z y x, such as [30, 6, 6]", node)
      return fallback
    }
    return (numbers[0], numbers[1], numbers[2])
  }

  /// Two numbers, the first below the second; nil if the key is absent.
  func range(_ key: String) -> ClosedRange<Double>? {
    guard let node = value(key) else { return nil }
    let numbers = (node.sequence.map(Array.init) ?? []).compactMap(number)
    guard numbers.count == 2, numbers[0] < numbers[1], numbers.allSatisfy(\.isFinite) else {
      fault("\(label(key)) must be two numbers, the lower first, such as [0, 4095]", node)
      return nil
    }
    return numbers[0]...numbers[1]
  }

  /// All remaining keys as options of a stage; the stage checks them.
  func remainingOptions() -> [(key: String, value: Node)] {
    guard let mapping = node?.mapping else { return [] }
    var result: [(String, Node)] = []
    for (key, value) in mapping {
      guard let name = key.scalar?.string, !asked.contains(name) else { continue }
      asked.insert(name)
      result.append((name, value))
    }
    return result
  }

  func fault(_ text: String, _ at: Node? = nil) { faults.add(text, at ?? node) }

  /// Reports every key that nobody asked for. Call when all are read.
  func finish() {
    guard let mapping = node?.mapping else { return }
    for (key, _) in mapping {
      guard let name = key.scalar?.string, !asked.contains(name) else { continue }
      let near = asked.filter { editDistance($0, name) <= 2 }.min()
      faults.add("unknown key \(label(name))" + (near.map { " (did you mean \($0)?)" } ?? ""), key)
    }
  }

  private func number(_ node: Node) -> Double? { node.float ?? node.int.map(Double.init) }
}

/// Collects the faults of one file.
final class FaultList {
  private(set) var faults: [ConfigFault] = []
  func add(_ text: String, _ node: Node?) { faults.append(ConfigFault(line: node?.mark?.line, text: text)) }
}

/// Seconds of `500ms`, `2s`, `10min`, `4h`, or a bare number of seconds; nil if it is none of these.
func seconds(_ text: String) -> Double? {
  for (unit, factor) in [("ms", 0.001), ("min", 60), ("s", 1), ("h", 3600), ("", 1)] where text.hasSuffix(unit) {
    if let number = Double(text.dropLast(unit.count)), number.isFinite, number >= 0 { return number * factor }
  }
  return nil
}

private func editDistance(_ a: String, _ b: String) -> Int {
  let b = Array(b)
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == b[j] ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
