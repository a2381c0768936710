import Domain
import Foundation
import Plugins
import Volumes
import Web
import Yams

/// Everything the daemon is told, read once and checked whole.
struct DaemonConfiguration: Sendable {
  struct Volume: Sendable {
    var name: String
    /// The watched folder; only ever read.
    var folder: String
    /// Regular expression with a group `z` (and, if one folder holds several volumes, `volume`).
    var pattern: String
    var voxelSize: (z: Double, y: Double, x: Double)
    /// Seconds after which a hole in z is taken as missing while later sections are there; nil: only by the operator.
    var missingAfter: Double?
    /// How its files are read.
    var images = ImageOptions()
  }

  struct Intake: Sendable {
    var scanInterval: Double
    var settle: Double
    var incompleteDeadline: Double
    var ignore: [String]
  }

  struct Stage: Sendable {
    var name: String
    var enabled: Bool
    var options: [String: OptionValue]
    /// Where the stage stands in the file, for faults.
    var path: String
  }

  /// Takes the last number of a file name for z.
  static let defaultPattern = #".*?(?<z>\d+)\.(png|tiff?|mrc|dm[34]|h5|hdf5?)"#

  var stateDirectory: String
  /// nil: a private cluster in the state directory.
  var databaseURL: String?
  var postgresBinaries: String?
  var volumes: [Volume]
  var intake: Intake
  var denoise: [Stage]
  var affinity: Stage
  var watershed: Stage
  var agglomerate: Stage
  /// Factor on z affinities for each missing section they cross.
  var gapConfidence: Double
  /// Stages from outside that `stages` may name.
  var externalStages: [ExternalStageConfiguration]
  /// Folders that shared objects may be loaded from.
  var stageFolders: [String]
  var threads: Int
  /// Bytes that the daemon's process may use.
  var memoryLimit: Int
  /// What a volume's stages are told: the program itself, and this volume's share of the rest, because the networks keep
  /// layers side by side.
  var memoryLimitPerVolume: Int {
    let program = FGNetAffinityStage.reserve
    return program + (memoryLimit - program) / max(volumes.count, 1)
  }
  static let leastMemory = 512 << 20
  /// Bytes of disk, in the state directory, for layers that do not fit the memory.
  var scratchLimit: Int
  /// Pages and metrics over HTTP; nil: none.
  var web: WebConfiguration?
  /// The file's text, for provenance.
  var text: String
  /// Where it was read, for faults.
  var path: String

  /// Reads and checks a file. All faults are reported at once.
  static func load(path: String) throws -> DaemonConfiguration {
    guard let data = FileManager.default.contents(atPath: path) else {
      let reason =
        FileManager.default.fileExists(atPath: path) ? "cannot be read (check its permissions)" : "does not exist"
      throw OperatorError("configuration \(path) \(reason); give another with --config", status: .configuration)
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw OperatorError("configuration \(path) is not UTF-8 text", status: .configuration)
    }
    return try parse(text, path: path)
  }

  static func parse(_ text: String, path: String) throws -> DaemonConfiguration {
    let root: Node?
    do { root = try Yams.compose(yaml: text) } catch {
      let line = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
      throw OperatorError("configuration \(path) is not valid YAML: \(line)", status: .configuration)
    }
    let faults = FaultList()
    let configuration = build(ConfigMapping(root, path: "", faults: faults), text: text, path: path)
    let all = faults.faults + (faults.faults.isEmpty ? configuration.combinationFaults() : [])
    guard all.isEmpty else { throw ConfigurationError(path: path, faults: all) }
    return configuration
  }

  private static func build(_ root: ConfigMapping, text: String, path: String) -> DaemonConfiguration {
    let database = root.mapping("database")
    let intake = root.mapping("intake")
    let stages = root.mapping("stages")
    let web = web(root.mapping("http"))
    let beside = web?.memory ?? 0
    let result = DaemonConfiguration(
      stateDirectory: absolute(root.requiredString("state_directory")),
      databaseURL: database.optionalString("url"),
      postgresBinaries: database.optionalString("binaries"),
      volumes: root.sequence("volumes").map(volume),
      intake: Intake(
        scanInterval: intake.duration("scan_interval", default: 10), settle: intake.duration("settle", default: 2),
        incompleteDeadline: intake.duration("incomplete_deadline", default: 600),
        ignore: intake.strings("ignore", default: [".*", "*.tmp", "*.part", "*~", "*downloading"])),
      denoise: stages.sequence("denoise").map { stage($0, default: nil) },
      affinity: stage(stages.mapping("affinity"), default: "fgnet"),
      watershed: stage(stages.mapping("watershed"), default: "seeded"),
      agglomerate: stage(stages.mapping("agglomerate"), default: "windowed"),
      gapConfidence: stages.double("gap_confidence", default: 0.9, in: 0...1),
      externalStages: root.sequence("external_stages").compactMap { ExternalStageConfiguration($0) },
      stageFolders: root.strings("stage_folders", default: []).map(absolute),
      threads: root.int("threads", default: 0, in: 0...1024),
      memoryLimit: root.bytes("memory_limit", default: 4 << 30, atLeast: leastMemory + beside) - beside,
      scratchLimit: root.bytes("scratch_limit", default: 32 << 30, atLeast: 0),
      web: web, text: text, path: path)
    for stage in result.intakeIgnoreFaults { intake.fault(stage) }
    for mapping in [database, intake, stages, root] { mapping.finish() }
    if result.volumes.isEmpty { root.fault("volumes is empty: name at least one volume with its folder") }
    return result
  }

  /// A path that means the same whatever the working directory becomes.
  static func absolute(_ path: String) -> String {
    path.isEmpty ? path : URL(fileURLWithPath: path).standardizedFileURL.path
  }

  /// Patterns of names to leave alone are `.*` (hidden names) or `*` and an ending.
  private var intakeIgnoreFaults: [String] {
    intake.ignore.filter {
      $0 != ".*" && !($0.hasPrefix("*") && $0.dropFirst().allSatisfy { $0 != "*" } && $0.count > 1)
    }
    .map { "intake.ignore: \($0) is neither `.*` nor `*` and an ending such as `*.tmp`" }
  }

  private static func volume(_ mapping: ConfigMapping) -> Volume {
    let result = Volume(
      name: mapping.requiredString("name"), folder: absolute(mapping.requiredString("folder")),
      pattern: mapping.string("pattern", default: defaultPattern),
      voxelSize: mapping.triple("voxel_size_nm", default: (30, 6, 6)),
      missingAfter: mapping.optionalDuration("missing_after"),
      images: ImageOptions(
        stack: stack(mapping), dataset: mapping.optionalString("dataset"),
        intensityRange: mapping.range("intensity_range")))
    if !result.name.isEmpty, result.name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}/) == nil {
      mapping.fault("\(mapping.path).name may hold letters, digits, `_`, `-` and `.` only, 63 at most")
    }
    mapping.finish()
    return result
  }

  private static func stack(_ mapping: ConfigMapping) -> ImageOptions.Stack {
    let text = mapping.string("stack", default: ImageOptions.Stack.refuse.rawValue)
    if let stack = ImageOptions.Stack(rawValue: text) { return stack }
    let names = ImageOptions.Stack.allCases.map(\.rawValue).joined(separator: " or ")
    mapping.fault("\(mapping.path).stack must be \(names)", mapping.value("stack"))
    return .refuse
  }

  private static func stage(_ mapping: ConfigMapping, default name: String?) -> Stage {
    let chosen = name.map { mapping.string("name", default: $0) } ?? mapping.requiredString("name")
    let enabled = mapping.bool("enabled", default: true)
    var options: [String: OptionValue] = [:]
    for (key, node) in mapping.remainingOptions() {
      if let value = optionValue(node) {
        options[key] = value
      } else {
        mapping.fault("\(mapping.path).\(key) has no usable value", node)
      }
    }
    return Stage(name: chosen, enabled: enabled, options: options, path: mapping.path)
  }

  private static func optionValue(_ node: Node) -> OptionValue? {
    if let items = node.sequence {
      let values = items.compactMap(optionValue)
      return values.count == items.count ? .array(values) : nil
    }
    guard let scalar = node.scalar else { return nil }
    if scalar.style == .plain {
      if let value = node.bool { return .bool(value) }
      if let value = node.int { return .int(value) }
      if let value = node.float { return .double(value) }
    }
    return .string(scalar.string)
  }

  /// Faults that only show when the parts are seen together.
  private func combinationFaults() -> [ConfigFault] {
    var texts: [String] = []
    for (index, volume) in volumes.enumerated() {
      if volumes[..<index].contains(where: { $0.name == volume.name }) {
        texts.append("volume \(volume.name) is named twice: give each volume a name of its own")
      }
      if volumes[..<index].contains(where: { $0.folder == volume.folder && $0.pattern == volume.pattern }) {
        texts.append("volume \(volume.name) watches the same folder with the same pattern as another volume")
      }
    }
    if watershed.enabled && !affinity.enabled {
      texts.append("stages.watershed needs affinities: enable stages.affinity, or disable stages.watershed as well")
    }
    if agglomerate.enabled && !watershed.enabled {
      texts.append("stages.agglomerate needs fragments: enable stages.watershed, or disable stages.agglomerate as well")
    }
    return texts.map { ConfigFault(line: nil, text: $0) } + externalFaults
  }
}

/// A configuration with faults: one line for each.
struct ConfigurationError: Error, CustomStringConvertible {
  var path: String
  var faults: [ConfigFault]
  var description: String {
    faults.map { "configuration \(path), \($0)" }.joined(separator: "\n")
  }
}
