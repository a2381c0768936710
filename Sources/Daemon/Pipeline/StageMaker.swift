import Domain
import FGNetKernel
import Foundation
import Plugins
import Volumes

/// Where results come from: stored with each run.
struct Provenance: Sendable {
  var configuration: String
  var modelHash: String?
  var codeVersion: String
}

/// Makes the stages that the configuration names; all faults of all stages are reported at once.
struct StageMaker {
  private let configuration: DaemonConfiguration
  private let path: String
  private let registry: StageRegistry
  let provenance: Provenance

  /// `path`: the configuration's, for faults.
  init(_ configuration: DaemonConfiguration, path: String = "") {
    self.configuration = configuration
    self.path = path
    var registry = StageRegistry.builtIn
    registry.registerFGNet(Self.fgnet)
    self.registry = registry
    var hash: String?
    if configuration.affinity.enabled, case .string(let model)? = configuration.affinity.options["model"] {
      hash = try? ContentHash.sha256(ofFile: model)
    }
    provenance = Provenance(configuration: configuration.text, modelHash: hash, codeVersion: Version.current)
  }

  private static func fgnet(model: String) throws(StageError) -> any AffinityStage {
    do {
      return FGNetAffinityStage(
        network: try FGNet(path: model), modelHash: try ContentHash.sha256(ofFile: model))
    } catch {
      throw StageError(stage: "fgnet", reason: "\(error)")
    }
  }

  func make() throws -> StageSet {
    var faults: [String] = []
    func made<T>(
      _ stage: DaemonConfiguration.Stage, _ make: (String, [String: OptionValue], String) throws(OptionFaults) -> T
    ) -> T? {
      guard stage.enabled else { return nil }
      do throws(OptionFaults) { return try make(stage.name, stage.options, stage.path) } catch {
        faults += error.faults
        return nil
      }
    }
    for stage in configuration.denoise where !stage.enabled {
      faults += registry.faults(.denoise, named: stage.name, options: stage.options, path: stage.path)
    }
    let result = StageSet(
      denoise: configuration.denoise.compactMap { made($0, registry.denoise(named:options:path:)) },
      affinity: made(configuration.affinity, registry.affinity(named:options:path:)),
      watershed: made(configuration.watershed, registry.watershed(named:options:path:)),
      agglomerate: made(configuration.agglomerate, registry.agglomerate(named:options:path:)),
      gapConfidence: configuration.gapConfidence)
    guard faults.isEmpty else {
      throw ConfigurationError(path: path, faults: faults.map { ConfigFault(line: nil, text: $0) })
    }
    return result
  }
}
