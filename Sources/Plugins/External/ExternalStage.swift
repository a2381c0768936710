public import Domain

/// A stage from outside the daemon: a program, or a shared object. It has said what it is; stages are made from it for volumes.
public final class ExternalStage: Sendable {
  public let source: ExternalSource
  public let description: ExternalDescription
  private let library: StageLibrary?
  private let log: @Sendable (String) -> Void

  /// Loads the library, or starts the program to ask it.
  /// - Parameter log: given what people should read, such as lines that the program writes to its standard error.
  /// - Throws: a sentence on what is wrong with it.
  public init(_ source: ExternalSource, log: @escaping @Sendable (String) -> Void) throws(StageError) {
    self.source = source
    self.log = log
    switch source.origin {
    case .command(let command):
      library = nil
      description = try CommandStage.describe(source, command, log: log)
    case .library(let path, let folders):
      do throws(CommandFault) {
        let library = try StageLibrary(path: path, folders: folders, kind: source.kind)
        self.library = library
        description = library.description
      } catch {
        throw StageError(stage: source.name, reason: error.reason, isOutage: true)
      }
    }
  }

  /// Adds it to a registry, under its name in the configuration, for the stages of one volume.
  public func register(in registry: inout StageRegistry, volume: ExternalVolume) {
    let maker: StageRegistry.Maker =
      switch source.kind {
      case .denoise:
        .denoise { [self] (options: ResolvedOptions) throws(StageError) in
          let (runner, fingerprint) = try make(options, volume)
          return ExternalDenoise(name: source.name, fingerprint: fingerprint, runner: runner)
        }
      case .affinity:
        .affinity { [self] (options: ResolvedOptions) throws(StageError) in
          let (runner, fingerprint) = try make(options, volume)
          return ExternalAffinity(name: source.name, fingerprint: fingerprint, runner: runner)
        }
      case .watershed:
        .watershed { [self] (options: ResolvedOptions) throws(StageError) in
          let (runner, fingerprint) = try make(options, volume)
          return ExternalWatershed(name: source.name, fingerprint: fingerprint, runner: runner)
        }
      case .agglomerate:
        .agglomerate { [self] (options: ResolvedOptions) throws(StageError) in
          let (runner, fingerprint) = try make(options, volume)
          return ExternalAgglomerate(name: source.name, fingerprint: fingerprint, runner: runner)
        }
      }
    registry.register(source.name, description.summary, options: description.options, maker)
  }

  private func make(
    _ options: ResolvedOptions, _ volume: ExternalVolume
  ) throws(StageError) -> (any ExternalRunner, String) {
    var values: [(String, OptionValue)] = []
    for option in description.options {
      if let value = options[option.name] { values.append((option.name, value)) }
    }
    let pairs = values.map { "\($0)=\($1)" }
    let size = volume.voxelSize
    let fingerprint =
      (["\(source.name)/\(description.version)", "sha256=\(source.contentHash)", "voxel=\(size.z),\(size.y),\(size.x)"]
      + pairs)
      .joined(separator: " ")
    switch source.origin {
    case .command(let command):
      return (try CommandStage(source, command, options: values, volume: volume, log: log), fingerprint)
    case .library:
      guard let library else { preconditionFailure("a library that was not loaded") }
      return (try LibraryStage(source, library, options: values, volume: volume), fingerprint)
    }
  }
}
