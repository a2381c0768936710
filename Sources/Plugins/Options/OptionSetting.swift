/// An option of a stage as it is in force, for showing people.
public struct OptionSetting: Sendable, Equatable {
  /// Who gave the value.
  public enum Source: String, Sendable {
    /// Nobody: it is the stage's default.
    case table = "default"
    /// The weights file of the network.
    case model
    case configuration
  }

  public var name: String
  public var value: OptionValue
  public var source: Source

  public init(name: String, value: OptionValue, source: Source) {
    self.name = name
    self.value = value
    self.source = source
  }
}
