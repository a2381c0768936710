public import Domain

/// What an option of a stage accepts.
public enum OptionType: Sendable, Equatable, CustomStringConvertible {
  case bool
  case int(ClosedRange<Int>)
  /// Finite numbers; whole numbers are accepted.
  case double(ClosedRange<Double>)
  case choice([String])
  /// A path of the file system; not empty.
  case path
  /// Any text.
  case text

  /// For people: "whole number", "number", ...
  public var description: String {
    switch self {
    case .bool: "true or false"
    case .int(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .double(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .choice(let names): "one of " + names.joined(separator: ", ")
    case .path: "a path"
    case .text: "a text"
    }
  }

  /// The value as this type holds it, or nil if it does not fit. Whole numbers become doubles where doubles are meant.
  func accept(_ value: OptionValue) -> OptionValue? {
    switch (self, value) {
    case (.bool, .bool), (.text, .string): value
    case (.int(let range), .int(let number)): range.contains(number) ? value : nil
    case (.double(let range), .double(let number)): range.contains(number) ? value : nil
    case (.double(let range), .int(let number)): range.contains(Double(number)) ? .double(Double(number)) : nil
    case (.choice(let names), .string(let name)): names.contains(name) ? value : nil
    case (.path, .string(let path)): path.isEmpty ? nil : value
    default: nil
    }
  }
}

/// One option of a stage, for checking a configuration and for showing people what can be set.
public struct OptionDescription: Sendable, Equatable {
  /// Name in the configuration.
  public var name: String
  public var type: OptionType
  /// Used when the option is absent; nil if it must be given.
  public var defaultValue: OptionValue?
  /// What it does, with its unit.
  public var summary: String

  public init(_ name: String, _ type: OptionType, default defaultValue: OptionValue?, _ summary: String) {
    self.name = name
    self.type = type
    self.defaultValue = defaultValue
    self.summary = summary
  }
}

/// Every fault of a stage's options, as sentences that begin with the option's path.
public struct OptionFaults: Error, Sendable, Equatable, CustomStringConvertible {
  public var faults: [String]
  public init(_ faults: [String]) { self.faults = faults }
  public var description: String { faults.joined(separator: " ") }
}

/// Options that were checked against their descriptions: every described option is there, and of its type.
public struct ResolvedOptions: Sendable, Equatable {
  private let values: [String: OptionValue]

  /// Checks all of `given` against `table`.
  /// - Parameter path: where the options stand in the configuration, such as `stages.denoise[0]`.
  /// - Throws: all faults at once.
  public init(_ given: [String: OptionValue], table: [OptionDescription], path: String) throws(OptionFaults) {
    var faults: [String] = []
    var values: [String: OptionValue] = [:]
    for option in table {
      guard let value = given[option.name] ?? option.defaultValue else {
        faults.append("\(path).\(option.name): is missing; give \(option.type).")
        continue
      }
      if let accepted = option.type.accept(value) {
        values[option.name] = accepted
      } else {
        faults.append("\(path).\(option.name): is \(value), \(value.kind), but must be \(option.type).")
      }
    }
    let known = Set(table.map(\.name))
    let names = table.isEmpty ? "it has no options" : "options are " + table.map(\.name).joined(separator: ", ")
    for name in given.keys.sorted() where !known.contains(name) {
      faults.append("\(path).\(name): there is no such option; \(names).")
    }
    guard faults.isEmpty else { throw OptionFaults(faults) }
    self.values = values
  }

  /// The value of an option; nil if there is no such one.
  public subscript(name: String) -> OptionValue? { values[name] }

  /// The value of an option that its table describes as `.bool`.
  public func bool(_ name: String) -> Bool {
    guard case .bool(let value)? = values[name] else { preconditionFailure("option \(name) is not described as bool") }
    return value
  }

  /// The value of an option that its table describes as `.int`.
  public func int(_ name: String) -> Int {
    guard case .int(let value)? = values[name] else { preconditionFailure("option \(name) is not described as int") }
    return value
  }

  /// The value of an option that its table describes as `.double`.
  public func double(_ name: String) -> Double {
    guard case .double(let value)? = values[name] else { preconditionFailure("option \(name) is not a double") }
    return value
  }

  /// The value of an option that its table describes as `.choice`, `.path` or `.text`.
  public func string(_ name: String) -> String {
    guard case .string(let value)? = values[name] else { preconditionFailure("option \(name) is not a text") }
    return value
  }
}

/// The options of one built-in stage, with their table.
public protocol StageOptions: Sendable, Equatable {
  /// Name of the stage in the configuration.
  static var stage: String { get }
  /// Raised whenever the stage's results change for equal options.
  static var version: Int { get }
  static var table: [OptionDescription] { get }
  init(_ options: ResolvedOptions)
  /// One value for each row of the table.
  var values: [OptionValue] { get }
}

extension StageOptions {
  /// Checks every value against the table.
  /// - Throws: a sentence for each fault.
  public func validate() throws(StageError) {
    let given = Dictionary(uniqueKeysWithValues: zip(Self.table.map(\.name), values))
    do throws(OptionFaults) {
      _ = try ResolvedOptions(given, table: Self.table, path: Self.stage)
    } catch {
      throw StageError(stage: Self.stage, reason: error.description)
    }
  }

  /// Name, version and every option: equal fingerprints mean equal results.
  public var fingerprint: String {
    let pairs = zip(Self.table, values).map { "\($0.name)=\($1)" }
    return ([Self.stage + "/\(Self.version)"] + pairs).joined(separator: " ")
  }
}
