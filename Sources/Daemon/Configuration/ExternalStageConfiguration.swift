import Foundation
import Plugins

/// A stage from outside, as the configuration names it.
struct ExternalStageConfiguration: Sendable, Equatable {
  static let usualTimeLimit = 60.0
  static let usualMemoryLimit = 4 << 30

  var name: String
  var kind: StageKind
  /// The program and its arguments; empty for a library.
  var command: [String]
  /// A shared object; nil for a program.
  var library: String?
  /// Seconds.
  var timeLimit: Double
  /// Bytes.
  var memoryLimit: Int
  var environment: [String: String]
  /// Where it stands in the file, for faults.
  var path: String

  /// - Returns: nil, and a fault, if it cannot be made sense of.
  init?(_ mapping: ConfigMapping) {
    path = mapping.path
    name = mapping.requiredString("name")
    let kinds = StageKind.allCases.map(\.rawValue).joined(separator: ", ")
    let kindName = mapping.requiredString("kind")
    let kind = StageKind(rawValue: kindName)
    if kind == nil, !kindName.isEmpty {
      mapping.fault("\(path).kind must be one of \(kinds)", mapping.value("kind"))
    }
    command = mapping.strings("command", default: [])
    library = mapping.optionalString("library")
    let isCommand = mapping.value("command") != nil
    timeLimit = mapping.duration("time_limit", default: Self.usualTimeLimit)
    memoryLimit = mapping.bytes("memory_limit", default: Self.usualMemoryLimit, atLeast: 64 << 20)
    environment = mapping.texts("environment")
    if isCommand == (library != nil) {
      mapping.fault("\(path) must have either command: [program, argument, ...] or library: a shared object")
    }
    if !isCommand {
      for key in ["time_limit", "memory_limit", "environment"] {
        if let node = mapping.value(key) {
          mapping.fault("\(path).\(key) is for commands: a library lives in the daemon's process", node)
        }
      }
    }
    if isCommand, command.first?.hasPrefix("/") != true {
      mapping.fault("\(path).command must begin with the absolute path of a program", mapping.value("command"))
    }
    if let library, !library.hasPrefix("/") {
      mapping.fault("\(path).library must be an absolute path", mapping.value("library"))
    }
    if timeLimit <= 0 || mapping.optionalString("time_limit") == "never" {
      mapping.fault("\(path).time_limit must be a time such as 2s or 10min", mapping.value("time_limit"))
    }
    if !name.isEmpty, name.contains(where: { !($0.isASCII && ($0.isLetter || $0.isNumber) || "_-.".contains($0)) }) {
      mapping.fault("\(path).name may hold letters, digits, `_`, `-` and `.` only", mapping.value("name"))
    }
    mapping.finish()
    guard let kind else { return nil }
    self.kind = kind
  }
}

extension DaemonConfiguration {
  /// Faults of stages from outside that only show when all are seen.
  var externalFaults: [ConfigFault] {
    var texts: [String] = []
    let builtIn = StageRegistry.builtIn
    for (index, stage) in externalStages.enumerated() {
      if externalStages[..<index].contains(where: { $0.name == stage.name && $0.kind == stage.kind }) {
        texts.append(
          "\(stage.path): there is another \(stage.kind.rawValue) stage \(stage.name); give each a name of its own")
      }
      if builtIn.contains(stage.kind, named: stage.name)
        || (stage.kind == .affinity && stage.name == FGNetOptions.stage)
      {
        texts.append(
          "\(stage.path): \(stage.name) is the name of a built-in \(stage.kind.rawValue) stage; take another")
      }
    }
    return texts.map { ConfigFault(line: nil, text: $0) }
  }
}
