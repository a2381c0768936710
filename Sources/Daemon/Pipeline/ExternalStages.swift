import Domain
import Foundation
import Logging
import Plugins
import Volumes

/// The stages from outside that a configuration names and uses, loaded or asked what they are.
struct ExternalStages {
  private var stages: [ExternalStage] = []
  private let configured: [ExternalStageConfiguration]
  /// Everything that is wrong with them, as sentences with the place in the configuration.
  private(set) var faults: [String] = []
  private var faulty: [ExternalStageConfiguration] = []

  /// - Parameter log: takes what programs write to their standard error.
  init(_ configuration: DaemonConfiguration, log: Logger) {
    configured = configuration.externalStages
    for stage in configured where configuration.uses(stage) {
      do {
        let source = try Self.source(stage, configuration)
        let name = "stage \(stage.name)"
        stages.append(try ExternalStage(source) { line in log.notice("\(name): \(line)") })
      } catch {
        faults.append("\(stage.path) (\(stage.name)): \((error as? StageError)?.reason ?? "\(error)")")
        faulty.append(stage)
      }
    }
  }

  /// Whether the configuration has such a stage.
  func isKnown(_ kind: StageKind, _ name: String) -> Bool { configured.contains { $0.kind == kind && $0.name == name } }

  /// Whether a fault of that stage is among `faults`.
  func isFaulty(_ kind: StageKind, _ name: String) -> Bool { faulty.contains { $0.kind == kind && $0.name == name } }

  func register(in registry: inout StageRegistry, volume: ExternalVolume) {
    for stage in stages { stage.register(in: &registry, volume: volume) }
  }

  // MARK: What it consists of

  /// The stage with all that is needed to start or load it.
  /// - Throws: a sentence.
  static func source(
    _ stage: ExternalStageConfiguration, _ configuration: DaemonConfiguration
  ) throws -> ExternalSource {
    if let library = stage.library {
      // Before the hash: a file that may not be loaded is named as such.
      guard FileManager.default.fileExists(atPath: library) else { throw OperatorError("\(library) is not there") }
      return ExternalSource(
        name: stage.name, kind: stage.kind, origin: .library(path: library, folders: configuration.stageFolders),
        contentHash: try ContentHash.sha256(ofFile: library))
    }
    let program = stage.command.first ?? ""
    guard access(program, X_OK) == 0 else {
      throw OperatorError("the program \(program) cannot be run: \(String(cString: strerror(errno)))")
    }
    let (directory, user) = home(stage.name, configuration.stateDirectory)
    var environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": directory]
    environment.merge(stage.environment) { $1 }
    let command = ExternalSource.Command(
      words: stage.command, environment: environment, directory: directory, timeLimit: stage.timeLimit,
      memoryLimit: stage.memoryLimit, user: user)
    return ExternalSource(
      name: stage.name, kind: stage.kind, origin: .command(command),
      contentHash: try contentHash(stage.command, stage.environment))
  }

  /// Hash of the words of a command, of the files among them, and of its environment.
  private static func contentHash(_ words: [String], _ environment: [String: String]) throws -> String {
    var parts: [String] = []
    for word in words {
      var isFolder: ObjCBool = false
      let isFile = word.hasPrefix("/") && FileManager.default.fileExists(atPath: word, isDirectory: &isFolder)
      parts.append(word)
      if isFile, !isFolder.boolValue { parts.append(try ContentHash.sha256(ofFile: word)) }
    }
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) { parts.append("\(name)=\(value)") }
    return Daemon.contentHash(parts.joined(separator: "\u{0}"))
  }

  /// The folder a program works in, below the state directory, and the user it becomes where a command is given by root. Where the folder cannot be made
  /// (a configuration is checked before there is a state directory), it works in `/`.
  private static func home(_ name: String, _ stateDirectory: String) -> (String, (id: UInt32, group: UInt32)?) {
    var info = stat()
    let isThere = stat(stateDirectory, &info) == 0
    let isForeign = isThere && geteuid() == 0 && info.st_uid != 0
    let user = isForeign ? (id: info.st_uid, group: info.st_gid) : nil
    let folder = stateDirectory + "/stages/" + name
    guard isThere else { return ("/", user) }
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    if let user { for path in [stateDirectory + "/stages", folder] { chown(path, user.id, user.group) } }
    return (access(folder, X_OK) == 0 ? folder : "/", user)
  }
}

extension DaemonConfiguration {
  /// Whether an enabled stage is this one.
  func uses(_ external: ExternalStageConfiguration) -> Bool {
    let stages: [Stage] =
      switch external.kind {
      case .denoise: denoise
      case .affinity: [affinity]
      case .watershed: [watershed]
      case .agglomerate: [agglomerate]
      }
    return stages.contains { $0.enabled && $0.name == external.name }
  }
}
