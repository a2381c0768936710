/// A value of a stage's option as the configuration gives it.
public enum OptionValue: Sendable, Equatable, CustomStringConvertible {
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case array([OptionValue])

  /// As it would be written in the configuration.
  public var description: String {
    switch self {
    case .bool(let value): "\(value)"
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .string(let value): "\"\(value)\""
    case .array(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
    }
  }

  /// The kind of value in words, with its article.
  var kind: String {
    switch self {
    case .bool: "a truth value"
    case .int: "a whole number"
    case .double: "a number"
    case .string: "a text"
    case .array: "a list"
    }
  }
}
