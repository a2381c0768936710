import ArgumentParser
import Domain
import Foundation
import Logging
import Plugins

/// `fgnetd stage-test`: whether a stage keeps the contract.
struct StageTestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stage-test", abstract: "Hold a stage against the contract of stages, and say what it lacks.",
    discussion: """
      The stage is one that the configuration names, with its options there; a built-in one (median, nlm, clahe, seeded, windowed), or a
      file: a shared object (.so), a Python script (.py) or another program, with its default options. See docs/writing-a-stage.md.
      """)

  @Option(name: [.customShort("c"), .customLong("config")], help: "A configuration that names the stage.")
  var config: String?
  @Option(help: "The kind of a shared object or program: denoise, affinity, watershed or agglomerate.") var kind:
    String?
  @Option(help: "Pixels of the side of the section that time is taken on.") var side = 1024
  @Option(help: "Seconds that a program may take for an answer.") var timeLimit = 60.0
  @Argument(help: "The stage's name, or a file.") var stage: String

  /// What is tested.
  private struct Subject {
    var registry: StageRegistry
    var kind: StageKind
    var name: String
    var options: [String: OptionValue] = [:]
    var isDeterministic = true
  }

  func run() throws {
    let subjects = try stage.contains("/") ? [file()] : named()
    var isGood = true
    for subject in subjects {
      print("\(subject.kind.rawValue) \(subject.name)")
      var failures = 0
      let conformance = StageConformance(
        subject.registry, subject.kind, named: subject.name, options: subject.options,
        isDeterministic: subject.isDeterministic, side: side
      ) { check in
        let mark =
          switch check.verdict {
          case .passed: "ok  "
          case .failed: "FAIL"
          case .note: "note"
          }
        if check.verdict == .failed { failures += 1 }
        print("  \(mark)  \(check.name): \(check.text)")
      }
      isGood = conformance.run() && isGood
      print(failures == 0 ? "  it keeps the contract" : "  \(failures) checks failed")
    }
    if !isGood { throw ExitCode(ExitStatus.badData.rawValue) }
  }

  // MARK: By name

  private func named() throws -> [Subject] {
    guard let config else { return [try builtIn()] }
    let configuration = try DaemonConfiguration.load(path: config)
    let maker = StageMaker(configuration, log: Logger.program())
    guard let volume = configuration.volumes.first else { throw OperatorError("no volume", status: .configuration) }
    let registry = maker.registry(for: volume)
    var found: [Subject] = []
    for (kind, entry) in configuration.allStages where entry.name == stage {
      if let fault = maker.externalFault(kind, entry.name) { throw OperatorError(fault, status: .configuration) }
      found.append(Subject(registry: registry, kind: kind, name: entry.name, options: maker.options(kind, entry)))
    }
    if found.isEmpty {
      throw OperatorError(
        "\(config) names no enabled stage \(stage); there are "
          + configuration.allStages.map(\.1.name).joined(separator: ", "), status: .usage)
    }
    return found
  }

  private func builtIn() throws -> Subject {
    let all = StageRegistry.builtIn.descriptions()
    guard let found = all.first(where: { $0.name == stage }) else {
      throw OperatorError(
        "there is no built-in stage \(stage); there are \(all.map(\.name).joined(separator: ", ")). A file needs a path with a /; "
          + "a stage of a configuration needs --config", status: .usage)
    }
    return Subject(registry: .builtIn, kind: found.kind, name: found.name)
  }

  // MARK: By file

  private func file() throws -> Subject {
    let path = DaemonConfiguration.absolute(stage)
    guard FileManager.default.fileExists(atPath: path) else {
      throw OperatorError("\(path) is not there", status: .noInput)
    }
    var faults: [String] = []
    let wanted = kind.flatMap(StageKind.init)
    if kind != nil, wanted == nil { throw OperatorError("--kind is none of the four kinds", status: .usage) }
    let (folder, name) = ((path as NSString).deletingLastPathComponent, (path as NSString).lastPathComponent)
    for kind in wanted.map({ [$0] }) ?? StageKind.allCases {
      let origin: ExternalSource.Origin
      if name.hasSuffix(".so") {
        // Whoever gives the command vouches for the folder.
        origin = .library(path: path, folders: [folder])
      } else {
        let words = name.hasSuffix(".py") ? ["/usr/bin/env", "python3", path] : [path]
        var environment = ProcessInfo.processInfo.environment.filter { ["PATH", "HOME", "LANG"].contains($0.key) }
        environment["PATH"] = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        origin = .command(
          .init(
            words: words, environment: environment, directory: folder, timeLimit: timeLimit,
            memoryLimit: ExternalStageConfiguration.usualMemoryLimit))
      }
      do throws(StageError) {
        let stage = try ExternalStage(ExternalSource(name: name, kind: kind, origin: origin, contentHash: "test")) {
          FileHandle.standardError.write(Data("\(name): \($0)\n".utf8))
        }
        var registry = StageRegistry()
        stage.register(
          in: &registry,
          volume: ExternalVolume(name: "stage-test", voxelSize: VoxelNanometres(z: 30, y: 6, x: 6)))
        return Subject(
          registry: registry, kind: kind, name: name, isDeterministic: stage.description.isDeterministic)
      } catch {
        faults.append(error.reason)
        // It has said which kind it is.
        if !error.isOfKind { break }
      }
    }
    throw OperatorError("\(path): \(faults.last ?? "")", status: .badData)
  }
}

extension StageError {
  /// Only the kind was wrong.
  fileprivate var isOfKind: Bool { reason.contains("configured as") || reason.contains("no symbol fgnet_stage_run_") }
}

extension DaemonConfiguration {
  /// Every enabled stage, in the order a section goes through.
  var allStages: [(StageKind, Stage)] {
    let others: [(StageKind, Stage)] = [(.affinity, affinity), (.watershed, watershed), (.agglomerate, agglomerate)]
    return (denoise.map { (.denoise, $0) } + others).filter { $0.1.enabled }
  }
}
