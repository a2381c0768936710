import Domain
import Foundation
import Logging
import Plugins
import Volumes

/// Where results come from: stored with each run. The options in force are in the stages' fingerprints.
struct Provenance: Sendable {
  var configuration: String
  var modelHash: String?
  var codeVersion: String
}

/// Makes the stages that the configuration names, for each volume; all faults of all stages are reported at once.
///
/// The weights file is read once, here. It also holds defaults of the stages after the network: an option is the
/// configuration's, or else the model's, or else the stage's own.
struct StageMaker {
  private let configuration: DaemonConfiguration
  private let model: Result<FGNetModel, StageError>?
  private let defaults: ModelDefaults
  private let defaultFaults: [String]
  private let external: ExternalStages
  let provenance: Provenance

  /// Reads the weights file, and asks the stages from outside that are enabled what they are.
  init(_ configuration: DaemonConfiguration, log: Logger = .program()) {
    self.configuration = configuration
    external = ExternalStages(configuration, log: log)
    model = Self.model(configuration.affinity)
    var defaults = ModelDefaults.none
    var faults: [String] = []
    if case .success(let model)? = model {
      do throws(OptionFaults) {
        defaults = try ModelDefaults(json: model.postprocessing, source: model.path)
        faults = defaults.faults(.builtIn)
      } catch {
        faults = error.faults
      }
    }
    // Faulty ones are told as the file's, and not once more as the configuration's.
    self.defaults = faults.isEmpty ? defaults : .none
    defaultFaults = faults
    provenance = Provenance(
      configuration: configuration.text, modelHash: try? model?.get().hash, codeVersion: Version.current)
  }

  /// The weights file that the stage names, or why it cannot be read; nil where none is wanted.
  private static func model(_ stage: DaemonConfiguration.Stage) -> Result<FGNetModel, StageError>? {
    guard stage.enabled, stage.name == FGNetOptions.stage, case .string(let path)? = stage.options["model"],
      !path.isEmpty
    else { return nil }
    do { return .success(try FGNetModel(path: path, hash: ContentHash.sha256(ofFile: path))) } catch {
      return .failure(error as? StageError ?? StageError(stage: FGNetOptions.stage, reason: "\(error)"))
    }
  }

  /// What is wrong with a stage from outside; nil if nothing is.
  func externalFault(_ kind: StageKind, _ name: String) -> String? {
    external.isFaulty(kind, name) ? external.faults.joined(separator: "; ") : nil
  }

  /// The stages of every volume, in the configuration's order.
  /// - Throws: `ConfigurationError` with every fault once.
  func make() throws -> [StageSet] {
    var faults = defaultFaults + external.faults
    let sets = configuration.volumes.map { volume in
      let (set, found) = stages(for: volume)
      faults += found.filter { !faults.contains($0) }
      return set
    }
    guard faults.isEmpty else {
      throw ConfigurationError(path: configuration.path, faults: faults.map { ConfigFault(line: nil, text: $0) })
    }
    return sets
  }

  private func stages(for volume: DaemonConfiguration.Volume) -> (set: StageSet, faults: [String]) {
    let registry = registry(for: volume)
    var faults: [String] = []
    func made<T>(
      _ kind: StageKind, _ stage: DaemonConfiguration.Stage,
      _ make: (String, [String: OptionValue], String) throws(OptionFaults) -> T
    ) -> T? {
      guard stage.enabled, !external.isFaulty(kind, stage.name) else { return nil }
      do throws(OptionFaults) { return try make(stage.name, options(kind, stage), stage.path) } catch {
        faults += error.faults
        return nil
      }
    }
    // One from outside is not started to be asked about options that nobody uses.
    for stage in configuration.denoise where !stage.enabled && !external.isKnown(.denoise, stage.name) {
      faults += registry.faults(.denoise, named: stage.name, options: stage.options, path: stage.path)
    }
    let set = StageSet(
      denoise: configuration.denoise.compactMap { made(.denoise, $0, registry.denoise(named:options:path:)) },
      affinity: made(.affinity, configuration.affinity, registry.affinity(named:options:path:)),
      watershed: made(.watershed, configuration.watershed, registry.watershed(named:options:path:)),
      agglomerate: made(.agglomerate, configuration.agglomerate, registry.agglomerate(named:options:path:)),
      gapConfidence: configuration.gapConfidence, memoryLimit: configuration.memoryLimitPerVolume,
      largePixels: configuration.memoryLimitPerVolume / 64,
      scratchBytes: configuration.scratchLimit / max(configuration.volumes.count, 1))
    set.affinity?.limitMemory(to: set.memoryLimit)
    return (set, faults)
  }

  /// The built-in stages, the network and stages from outside, for the volume's voxels.
  func registry(for volume: DaemonConfiguration.Volume) -> StageRegistry {
    var registry = StageRegistry.builtIn
    let (model, name, size) = (model, volume.name, volume.voxelSize)
    registry.registerFGNet { (options: FGNetOptions) throws(StageError) in
      guard let model else { preconditionFailure("the stage \(FGNetOptions.stage) is made without its model") }
      return try model.get().stage(
        options, volume: name, voxelSize: VoxelNanometres(z: size.z, y: size.y, x: size.x))
    }
    external.register(
      in: &registry,
      volume: ExternalVolume(name: name, voxelSize: VoxelNanometres(z: size.z, y: size.y, x: size.x)))
    return registry
  }

  /// The configuration's options over the model's.
  func options(_ kind: StageKind, _ stage: DaemonConfiguration.Stage) -> [String: OptionValue] {
    defaults.options(kind, named: stage.name).merging(stage.options) { $1 }
  }
}

extension StageMaker {
  /// What is in force, for people: every enabled stage with its options and where each comes from, then the voxel sizes.
  /// - Throws: as `make()`.
  func report() throws -> [String] {
    let sets = try make()
    var lines: [String] = []
    var stages = configuration.denoise.map { (kind: StageKind.denoise, stage: $0) }
    stages += [
      (.affinity, configuration.affinity), (.watershed, configuration.watershed),
      (.agglomerate, configuration.agglomerate),
    ]
    for (kind, stage) in stages {
      lines.append("\(kind.rawValue) \(stage.name)" + (stage.enabled ? "" : ": disabled"))
      guard stage.enabled, let volume = configuration.volumes.first else { continue }
      let settings = try registry(for: volume).settings(
        kind, named: stage.name, options: stage.options, model: defaults.options(kind, named: stage.name),
        path: stage.path)
      lines += settings.map { "  \($0.name): \($0.value) (\($0.source.rawValue))" }
      if let other = defaults.sections[kind], other.name != stage.name {
        lines.append("  the model's options are for \(other.name) and are not used")
      }
    }
    lines.append("gap_confidence: \(configuration.gapConfidence)")
    lines.append("memory_limit: \(ByteSize.text(configuration.memoryLimit))")
    lines.append("scratch_limit: \(ByteSize.text(configuration.scratchLimit))")
    return lines
      + zip(configuration.volumes, sets).map { volume, set in
        let size = VoxelNanometres(z: volume.voxelSize.z, y: volume.voxelSize.y, x: volume.voxelSize.x)
        return "volume \(volume.name): voxels of \(size)" + (voxelNote(set).map { ", " + $0 } ?? "")
      }
  }

  /// How sections of a volume come to the network; nil without one.
  func voxelNote(_ set: StageSet) -> String? {
    guard let stage = set.affinity as? FGNetAffinityStage, case .success(let model)? = model else { return nil }
    let trained = "the network's of \(model.voxelSize)"
    guard let scale = stage.scale else { return "\(trained): sections go in as they are" }
    return "\(trained): sections are rescaled by \(scale) (y, x)"
  }
}
