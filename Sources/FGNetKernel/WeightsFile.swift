/// The weights file of a network (docs/model.md): tensors by key, and what it says of itself. Read whole into memory on
/// opening.
public struct WeightsFile: WeightsSource {
  public let name: String
  public let architecture: Architecture
  private let stored: StoredTensors

  /// - Throws: `unreadableWeights`, `unknownFormat` or `badArchitecture`, all naming the file.
  public init(path: String) throws(KernelError) {
    stored = try StoredTensors(path: path, format: .network)
    name = path
    architecture = try Architecture(json: stored.architecture, source: path)
  }

  /// JSON: name, training data, licence, date, scores. Empty when absent.
  public var card: String { stored.attribute("card") }
  /// JSON: defaults for watershed and agglomeration. Empty when absent.
  public var postprocessing: String { stored.attribute("postprocessing") }
  public var inventory: [TensorSpec] { stored.inventory }
  public func values(of spec: TensorSpec) -> [Float] { stored.values(of: spec) }
}
