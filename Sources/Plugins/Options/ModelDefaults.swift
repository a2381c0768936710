internal import Foundation

/// What a weights file says of the stages after the network (attribute `postprocessing`, docs/model.md): affinities and the
/// thresholds they are cut at belong together. Options of the configuration are before it, the stages' own defaults after.
public struct ModelDefaults: Sendable, Equatable {
  /// A stage by name, and its options.
  public struct Section: Sendable, Equatable {
    public var name: String
    public var options: [String: OptionValue]
  }

  /// The kinds of stages that a weights file may speak of.
  public static let kinds: [StageKind] = [.watershed, .agglomerate]

  /// The file's name, for faults.
  public let source: String
  public let sections: [StageKind: Section]

  /// No defaults at all.
  public static let none = ModelDefaults(source: "", sections: [:])

  private init(source: String, sections: [StageKind: Section]) {
    self.source = source
    self.sections = sections
  }

  /// - Parameters:
  ///   - json: the attribute; empty for none.
  ///   - source: the file's name.
  /// - Throws: all faults at once, each naming the file: what is no JSON object of known sections with a `name` each.
  public init(json: String, source: String) throws(OptionFaults) {
    let path = "weights file \(source), postprocessing"
    let remedy = "write it again with fgnet-export --postprocessing"
    var found: [String: Value] = [:]
    if !json.isEmpty {
      guard let parsed = try? JSONDecoder().decode([String: Value].self, from: Data(json.utf8)) else {
        throw OptionFaults(["\(path): is not a JSON object of stages; \(remedy)."])
      }
      found = parsed
    }
    var faults: [String] = []
    var sections: [StageKind: Section] = [:]
    let known = Self.kinds.map(\.rawValue)
    for key in found.keys.sorted() where !known.contains(key) {
      faults.append("\(path): there is no section \(key); sections are \(known.joined(separator: ", ")); \(remedy).")
    }
    for kind in Self.kinds {
      guard let value = found[kind.rawValue] else { continue }
      guard case .object(var entries) = value, case .option(.string(let name))? = entries.removeValue(forKey: "name")
      else {
        faults.append("\(path).\(kind.rawValue): is not a JSON object with the name of a stage; \(remedy).")
        continue
      }
      var options: [String: OptionValue] = [:]
      for key in entries.keys.sorted() {
        guard case .option(let option)? = entries[key] else {
          faults.append("\(path).\(kind.rawValue).\(key): is no truth value, number, text or list; \(remedy).")
          continue
        }
        options[key] = option
      }
      sections[kind] = Section(name: name, options: options)
    }
    guard faults.isEmpty else { throw OptionFaults(faults) }
    self.init(source: source, sections: sections)
  }

  /// The options for a stage: none if the file speaks of another stage.
  public func options(_ kind: StageKind, named name: String) -> [String: OptionValue] {
    guard let section = sections[kind], section.name == name else { return [:] }
    return section.options
  }

  /// Every option that a stage of the registry does not take, as a sentence that names the file. Stages that the registry does
  /// not have are passed over: their options apply to nothing here.
  public func faults(_ registry: StageRegistry) -> [String] {
    Self.kinds.flatMap { kind -> [String] in
      guard let section = sections[kind], registry.contains(kind, named: section.name) else { return [] }
      let path = "weights file \(source), postprocessing.\(kind.rawValue)"
      return registry.faults(kind, named: section.name, options: section.options, path: path)
    }
  }
}

/// A JSON value as far as options need it.
private enum Value: Decodable {
  case option(OptionValue)
  case object([String: Value])
  /// null, or a list of more than plain values.
  case other

  init(from decoder: any Decoder) throws {
    if let object = try? [String: Value](from: decoder) {
      self = .object(object)
    } else if let list = try? [Value](from: decoder) {
      let options = list.compactMap { if case .option(let option) = $0 { option } else { nil } }
      self = options.count == list.count ? .option(.array(options)) : .other
    } else {
      self = Self.scalar(try decoder.singleValueContainer())
    }
  }

  private static func scalar(_ value: any SingleValueDecodingContainer) -> Value {
    if let found = try? value.decode(Bool.self) { return .option(.bool(found)) }
    if let found = try? value.decode(Int.self) { return .option(.int(found)) }
    if let found = try? value.decode(Double.self) { return .option(.double(found)) }
    if let found = try? value.decode(String.self) { return .option(.string(found)) }
    return .other
  }
}
