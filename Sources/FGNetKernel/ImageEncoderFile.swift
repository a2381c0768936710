/// The weights file of an image encoder (docs/model.md). Read whole into memory on opening.
public struct ImageEncoderFile: WeightsSource {
  public let name: String
  public let architecture: ImageEncoderArchitecture
  private let stored: StoredTensors

  /// - Throws: `unreadableWeights`, `unknownFormat` or `badArchitecture`, all naming the file.
  public init(path: String) throws(KernelError) {
    stored = try StoredTensors(path: path, format: .imageEncoder)
    name = path
    architecture = try ImageEncoderArchitecture(json: stored.architecture, source: path)
  }

  /// JSON: where the weights come from, and their licence. Empty when absent.
  public var card: String { stored.attribute("card") }
  public var inventory: [TensorSpec] { stored.inventory }
  public func values(of spec: TensorSpec) -> [Float] { stored.values(of: spec) }
}
