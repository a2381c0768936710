import Domain

/// What a program answers to `describe` and `configure`.
extension ExternalDescription {
  /// - Throws: a sentence on the first thing that is wrong.
  init(json object: [String: Any]) throws(CommandFault) {
    guard let version = object["protocol"] as? Int, version == CommandHeaders.version else {
      throw CommandFault(
        "it speaks version \(CommandHeaders.readable("\(object["protocol"] ?? "none")")) of the protocol, the daemon \(CommandHeaders.version); "
          + "take the fgnet_stage module of this release")
    }
    guard let kind = (object["kind"] as? String).flatMap(StageKind.init) else {
      let kinds = StageKind.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandFault(
        "its kind is \(CommandHeaders.readable("\(object["kind"] ?? "missing")")), but must be one of \(kinds)")
    }
    guard let own = object["version"] as? String, !own.isEmpty else {
      throw CommandFault("it gives no version: a text that changes whenever its results do")
    }
    self.kind = kind
    self.version = CommandHeaders.readable(own)
    summary = CommandHeaders.readable(object["summary"] as? String ?? "")
    isDeterministic = object["deterministic"] as? Bool ?? true
    guard let list = object["options"] as? [[String: Any]] ?? (object["options"] == nil ? [] : nil) else {
      throw CommandFault("its options are no list of objects")
    }
    options = []
    for entry in list { options.append(try Self.option(entry)) }
    try checkOptions()
  }

  /// - Throws: a sentence, if two options have one name, or one a name that the configuration has another meaning for.
  func checkOptions() throws(CommandFault) {
    for (index, option) in options.enumerated() {
      let name = option.name
      guard !name.isEmpty, name.utf8.allSatisfy({ $0 == 95 || (48...57).contains($0) || (97...122).contains($0 | 32) })
      else {
        throw CommandFault("it has an option \"\(CommandHeaders.readable(name))\"; names are letters, digits and _")
      }
      guard name != "name", name != "enabled" else {
        throw CommandFault("it has an option \(name), which the configuration has another meaning for; rename it")
      }
      guard !options[..<index].contains(where: { $0.name == name }) else {
        throw CommandFault("it has the option \(name) twice")
      }
      if let value = option.defaultValue, option.type.accept(value) == nil {
        throw CommandFault("the default of its option \(name) is \(value), but must be \(option.type)")
      }
    }
  }

  private static func option(_ entry: [String: Any]) throws(CommandFault) -> OptionDescription {
    guard let name = entry["name"] as? String else { throw CommandFault("it has an option without a name") }
    let summary = CommandHeaders.readable(entry["summary"] as? String ?? "")
    let type: OptionType
    switch entry["type"] as? String {
    case "bool": type = .bool
    case "int":
      guard let low = entry["minimum"] as? Int, let high = entry["maximum"] as? Int, low <= high else {
        throw CommandFault("its option \(name) needs a minimum and a maximum, whole numbers")
      }
      type = .int(low...high)
    case "number":
      guard let low = entry["minimum"] as? Double, let high = entry["maximum"] as? Double, low <= high else {
        throw CommandFault("its option \(name) needs a minimum and a maximum, numbers")
      }
      type = .double(low...high)
    case "choice":
      guard let choices = entry["choices"] as? [String], !choices.isEmpty else {
        throw CommandFault("its option \(name) needs choices, a list of texts")
      }
      type = .choice(choices)
    case "path": type = .path
    case "text": type = .text
    default:
      throw CommandFault("its option \(name) must have a type: bool, int, number, choice, path or text")
    }
    var value: OptionValue?
    if let given = entry["default"] {
      switch type {
      case .bool: value = (given as? Bool).map(OptionValue.bool)
      case .int: value = (given as? Int).map(OptionValue.int)
      case .double: value = (given as? Double).map(OptionValue.double)
      case .choice, .path, .text: value = (given as? String).map(OptionValue.string)
      }
      guard value != nil else { throw CommandFault("the default of its option \(name) must be \(type)") }
    }
    return OptionDescription(name, type, default: value, summary)
  }
}

extension ExternalReach {
  /// - Parameter kind: what is not of this kind is not looked at.
  /// - Throws: a sentence on the first thing that is wrong.
  init(json object: [String: Any], kind: StageKind) throws(CommandFault) {
    func number(_ key: String) throws(CommandFault) -> Int {
      guard let value = object[key] else { throw CommandFault("its answer to configure has no \(key)") }
      guard let number = value as? Int else { throw CommandFault("its \(key) is no whole number") }
      return number
    }
    switch kind {
    case .denoise, .affinity:
      // null is NSNull: the whole section.
      if object["halo"] is String || object["halo"] == nil || object["halo"] is Int { halo = try number("halo") }
      if kind == .affinity { context = try number("context") }
    case .watershed: break
    case .agglomerate:
      lookBehind = try number("look_behind")
      lookAhead = try number("look_ahead")
    }
    if let fault { throw CommandFault(fault) }
  }
}

extension OptionValue {
  /// For a message.
  var json: Any {
    switch self {
    case .bool(let value): value
    case .int(let value): value
    case .double(let value): value
    case .string(let value): value
    case .array(let values): values.map(\.json)
    }
  }
}
