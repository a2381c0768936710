public import Domain

/// The four kinds of stages.
public enum StageKind: String, Sendable, CaseIterable {
  case denoise, affinity, watershed, agglomerate
}

/// A stage that a configuration can name, for people and for `check-config`.
public struct StageDescription: Sendable, Equatable {
  public var kind: StageKind
  public var name: String
  public var summary: String
  public var options: [OptionDescription]
  public init(kind: StageKind, name: String, summary: String, options: [OptionDescription]) {
    self.kind = kind
    self.name = name
    self.summary = summary
    self.options = options
  }
}

/// The stages that can be chosen by name, each with its maker.
///
/// `builtIn` has those of this package that need no model. A stage from elsewhere (the network, an external program) is
/// registered by whoever brings it, before the configuration is checked.
public struct StageRegistry: Sendable {
  /// Makes a stage from options that were checked against its description.
  public enum Maker: Sendable {
    case denoise(@Sendable (ResolvedOptions) throws(StageError) -> any ImageStage)
    case affinity(@Sendable (ResolvedOptions) throws(StageError) -> any AffinityStage)
    case watershed(@Sendable (ResolvedOptions) throws(StageError) -> any WatershedStage)
    case agglomerate(@Sendable (ResolvedOptions) throws(StageError) -> any AgglomerateStage)

    var kind: StageKind {
      switch self {
      case .denoise: .denoise
      case .affinity: .affinity
      case .watershed: .watershed
      case .agglomerate: .agglomerate
      }
    }
  }

  private struct Entry: Sendable {
    var description: StageDescription
    var maker: Maker
  }

  private var entries: [Entry] = []

  /// A registry without stages.
  public init() {}

  /// Adds a stage. One of the same kind and name is replaced.
  public mutating func register(_ name: String, _ summary: String, options: [OptionDescription], _ maker: Maker) {
    let description = StageDescription(kind: maker.kind, name: name, summary: summary, options: options)
    let entry = Entry(description: description, maker: maker)
    if let index = entries.firstIndex(where: { $0.description.kind == maker.kind && $0.description.name == name }) {
      entries[index] = entry
    } else {
      entries.append(entry)
    }
  }

  /// Adds `fgnet`: the network of the weights file named by the option `model`.
  /// - Parameter maker: makes the stage, for the volume it is meant for.
  public mutating func registerFGNet(
    _ maker: @escaping @Sendable (FGNetOptions) throws(StageError) -> any AffinityStage
  ) {
    register(
      FGNetOptions.stage, "Affinities by FGNet.", options: FGNetOptions.table,
      .affinity { (options: ResolvedOptions) throws(StageError) in try maker(FGNetOptions(options)) })
  }

  /// Median, non-local means, contrast normalisation, seeded watershed, windowed agglomeration.
  public static let builtIn: StageRegistry = {
    var registry = StageRegistry()
    registry.register(
      MedianOptions.stage, "Median of a square window: removes single bad pixels.", options: MedianOptions.table,
      .denoise { (options: ResolvedOptions) throws(StageError) in try Median(MedianOptions(options)) })
    registry.register(
      NonLocalMeansOptions.stage, "Non-local means: averages alike patches.", options: NonLocalMeansOptions.table,
      .denoise { (options: ResolvedOptions) throws(StageError) in try NonLocalMeans(NonLocalMeansOptions(options)) })
    registry.register(
      ClaheOptions.stage, "Contrast normalisation: contrast-limited adaptive histogram equalisation.",
      options: ClaheOptions.table,
      .denoise { (options: ResolvedOptions) throws(StageError) in try Clahe(ClaheOptions(options)) })
    registry.register(
      SeededWatershedOptions.stage, "Watershed of each section from the maxima of the distance to boundaries.",
      options: SeededWatershedOptions.table,
      .watershed { (options: ResolvedOptions) throws(StageError) in
        try SeededWatershed(SeededWatershedOptions(options))
      })
    registry.register(
      AgglomeratorOptions.stage, "Greedy joining of fragments over a window of sections.",
      options: AgglomeratorOptions.table,
      .agglomerate { (options: ResolvedOptions) throws(StageError) in
        try Agglomerator(AgglomeratorOptions(options))
      })
    return registry
  }()

  /// All stages in the order of registration, or those of one kind.
  public func descriptions(of kind: StageKind? = nil) -> [StageDescription] {
    entries.map(\.description).filter { kind == nil || $0.kind == kind }
  }

  /// Every fault of a stage's name and options as a sentence with the option's path; empty if it can be made.
  public func faults(
    _ kind: StageKind, named name: String, options: [String: OptionValue], path: String
  ) -> [String] {
    do throws(OptionFaults) {
      _ = try resolve(kind, name, options, path)
      return []
    } catch {
      return error.faults
    }
  }

  /// Whether there is a stage of that kind and name.
  public func contains(_ kind: StageKind, named name: String) -> Bool {
    entries.contains { $0.description.kind == kind && $0.description.name == name }
  }

  /// The options of a stage as they are in force, in the order of its table, with where each comes from.
  /// - Parameters:
  ///   - options: what the configuration says; it is before the model.
  ///   - model: what the weights file says; it is before the table.
  /// - Throws: all faults of its name and options.
  public func settings(
    _ kind: StageKind, named name: String, options: [String: OptionValue], model: [String: OptionValue], path: String
  ) throws(OptionFaults) -> [OptionSetting] {
    let resolved = try resolve(kind, name, model.merging(options) { $1 }, path).1
    let table = descriptions(of: kind).first { $0.name == name }?.options ?? []
    return table.compactMap { option in
      let source: OptionSetting.Source =
        options[option.name] != nil ? .configuration : model[option.name] != nil ? .model : .table
      return resolved[option.name].map { OptionSetting(name: option.name, value: $0, source: source) }
    }
  }

  /// The `image -> image` stage of that name.
  /// - Throws: all faults of its name and options; or the one sentence of a stage that could not be made.
  public func denoise(
    named name: String, options: [String: OptionValue], path: String
  ) throws(OptionFaults) -> any ImageStage {
    let (maker, resolved) = try resolve(.denoise, name, options, path)
    guard case .denoise(let make) = maker else { preconditionFailure("\(name) is registered as another kind") }
    return try Self.making(path) { () throws(StageError) in try make(resolved) }
  }

  /// The `images -> affinities` stage of that name.
  /// - Throws: as `denoise(named:options:path:)`.
  public func affinity(
    named name: String, options: [String: OptionValue], path: String
  ) throws(OptionFaults) -> any AffinityStage {
    let (maker, resolved) = try resolve(.affinity, name, options, path)
    guard case .affinity(let make) = maker else { preconditionFailure("\(name) is registered as another kind") }
    return try Self.making(path) { () throws(StageError) in try make(resolved) }
  }

  /// The `affinities -> fragments` stage of that name.
  /// - Throws: as `denoise(named:options:path:)`.
  public func watershed(
    named name: String, options: [String: OptionValue], path: String
  ) throws(OptionFaults) -> any WatershedStage {
    let (maker, resolved) = try resolve(.watershed, name, options, path)
    guard case .watershed(let make) = maker else { preconditionFailure("\(name) is registered as another kind") }
    return try Self.making(path) { () throws(StageError) in try make(resolved) }
  }

  /// The `fragments + affinities -> merges` stage of that name.
  /// - Throws: as `denoise(named:options:path:)`.
  public func agglomerate(
    named name: String, options: [String: OptionValue], path: String
  ) throws(OptionFaults) -> any AgglomerateStage {
    let (maker, resolved) = try resolve(.agglomerate, name, options, path)
    guard case .agglomerate(let make) = maker else { preconditionFailure("\(name) is registered as another kind") }
    return try Self.making(path) { () throws(StageError) in try make(resolved) }
  }

  private func resolve(
    _ kind: StageKind, _ name: String, _ options: [String: OptionValue], _ path: String
  ) throws(OptionFaults) -> (Maker, ResolvedOptions) {
    guard let entry = entries.first(where: { $0.description.kind == kind && $0.description.name == name }) else {
      let names = descriptions(of: kind).map(\.name)
      let known = names.isEmpty ? "there are none" : "there are " + names.joined(separator: ", ")
      throw OptionFaults(["\(path): there is no \(kind.rawValue) stage \"\(name)\"; \(known)."])
    }
    return (entry.maker, try ResolvedOptions(options, table: entry.description.options, path: path))
  }

  private static func making<Stage>(
    _ path: String, _ make: () throws(StageError) -> Stage
  ) throws(OptionFaults) -> Stage {
    do throws(StageError) { return try make() } catch { throw OptionFaults(["\(path): \(error.reason)"]) }
  }
}
