public import ArgumentParser
import DB
import Domain
import Foundation
import Volumes

/// The program: one name, several commands.
public struct Fgnetd: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "fgnetd",
    abstract: "Segments electron-microscopy sections as they arrive and records the segments in PostgreSQL.",
    version: Version.current,
    subcommands: [
      RunCommand.self, IngestCommand.self, StatusCommand.self, InspectCommand.self, CheckConfigCommand.self,
      FinishCommand.self,
      DeclareMissingCommand.self, SetAsideCommand.self, RetryCommand.self, StageTestCommand.self, WaitCommand.self,
      SQLCommand.self,
      InitDatabaseCommand.self,
      ExportCommand.self, EvaluateCommand.self,
      TuneCommand.self, RenderCommand.self, PlotCommand.self, VerifyCommand.self,
      ImportCorrectionsCommand.self, SimulateCommand.self, ModelCommand.self,
    ])
  public init() {}

  /// Runs the command line; every failure is one line on standard error and an exit status.
  public static func start() -> Never {
    ProcessorChoice.applyToLibraries()
    do {
      var command = try parseAsRoot()
      try command.run()
      Foundation.exit(ExitStatus.success.rawValue)
    } catch let error as OperatorError {
      fail(error.description, error.status)
    } catch let error as ConfigurationError {
      fail(error.description, .configuration)
    } catch let error as VolumeError {
      fail(error.description, .badData)
    } catch let error as DatabaseError where error.isOfSchema {
      fail(error.description, .configuration)
    } catch let error as DatabaseError {
      fail(error.description, .unavailable)
    } catch let error as StageError {
      fail(error.description, .badData)
    } catch {
      exit(withError: error)
    }
  }

  private static func fail(_ text: String, _ status: ExitStatus) -> Never {
    for line in text.split(separator: "\n") { FileHandle.standardError.write(Data("fgnetd: \(line)\n".utf8)) }
    Foundation.exit(status.rawValue)
  }
}

/// The option that names the configuration.
struct ConfigurationOption: ParsableArguments {
  @Option(name: [.customShort("c"), .customLong("config")], help: "The configuration file.")
  var path = "/etc/fgnetd/fgnetd.yaml"

  func load() throws -> DaemonConfiguration { try DaemonConfiguration.load(path: path) }
}

/// The option that names a volume; not needed where the configuration has one only.
struct VolumeOption: ParsableArguments {
  @Option(name: [.customShort("V"), .customLong("volume")], help: "The volume; may be left out if there is only one.")
  var name: String?

  func chosen(_ configuration: DaemonConfiguration) throws -> String {
    if let name { return name }
    guard configuration.volumes.count == 1 else {
      throw OperatorError(
        "name the volume with --volume: \(configuration.volumes.map(\.name).joined(separator: ", "))", status: .usage)
    }
    return configuration.volumes[0].name
  }

  /// For commands that go through every volume unless one is named.
  func chosenOrAll(_ configuration: DaemonConfiguration) -> [String] {
    name.map { [$0] } ?? configuration.volumes.map(\.name)
  }
}

/// Opens the database for a command, and closes what it started.
func withRecord<T>(_ configuration: DaemonConfiguration, _ body: (Record) throws -> T) throws -> T {
  let session = DatabaseSession(configuration)
  let result = Result { try body(session.open()) }
  try session.close()
  return try result.get()
}

/// The volume's row, or a sentence that names those there are.
func volumeRow(_ record: Record, _ name: String) throws -> VolumeRow {
  let all = try record.volumes()
  guard let found = all.first(where: { $0.name == name }) else {
    let known = all.map(\.name).joined(separator: ", ")
    throw OperatorError(
      "no volume \(name) in the database" + (known.isEmpty ? "; nothing was taken in yet" : "; there are: \(known)"),
      status: .noInput)
  }
  return found
}
