import ArgumentParser
import DB
import Foundation
import Intake
import Web

/// `fgnetd status`: what came, what is done, what waits, what was set aside and why.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Say what came, what is done, what waits, and what was set aside and why.")

  @OptionGroup var config: ConfigurationOption
  @Flag(help: "As JSON.") var json = false

  struct Report: Codable {
    var daemon: DaemonStatus?
    var isRunning: Bool
    var volumes: [VolumeCounts]
    var setAside: [SetAside]
  }

  struct VolumeCounts: Codable {
    var name: String
    var sections: [String: Int]
    var fragments: Int
    var segments: Int
    /// Sections with a warning, and the lowest of them.
    var warnings: Int
    var firstWarnings: [Warning]
    /// Sections that a stage failed on, the lowest of them.
    var firstSetAside: [Warning]
  }

  struct Warning: Codable {
    var z: Int32
    var text: String
  }

  struct SetAside: Codable {
    var path: String
    var reason: String
  }

  func run() throws {
    let configuration = try config.load()
    let daemon = DaemonStatus.read(from: configuration.stateDirectory)
    let report = Result { try self.report(configuration, daemon) }
    if case .failure = report, let daemon, daemon.isAlive {
      // The alarms are what the person came for: they must be shown though the database cannot be asked.
      let known = Report(daemon: daemon, isRunning: true, volumes: [], setAside: [])
      print(json ? try encoded(known) : text(known))
    }
    let complete = try report.get()
    print(json ? try encoded(complete) : text(complete))
  }

  private func report(_ configuration: DaemonConfiguration, _ daemon: DaemonStatus?) throws -> Report {
    try withRecord(configuration) { record in
      Report(
        daemon: daemon, isRunning: daemon?.isAlive ?? false,
        volumes: try record.volumes().map { volume in
          let counts = try record.counts(volume: volume.id)
          let sections = try record.status(volume.id).sections.map { ($0.key.rawValue, $0.value) }
          let warnings = try record.warnings(volume.id, limit: 10)
          return VolumeCounts(
            name: volume.name, sections: Dictionary(uniqueKeysWithValues: sections), fragments: counts.fragments,
            segments: counts.segments, warnings: warnings.count,
            firstWarnings: warnings.lowest.map { Warning(z: $0.z, text: $0.text) },
            firstSetAside: try record.setAside(volume.id).prefix(10).map { Warning(z: $0.z, text: $0.reason) })
        },
        setAside: try record.openQuarantine().map { SetAside(path: $0.file.path, reason: $0.reason) })
    }
  }

  private func encoded(_ report: Report) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.dateEncodingStrategy = .iso8601
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }

  private func text(_ report: Report) -> String {
    var lines: [String] = []
    if report.isRunning, let daemon = report.daemon {
      lines.append("daemon: \(daemon.state), process \(daemon.pid), \(daemon.waitingFiles) files waiting")
      lines += daemon.alarms.map { "  ALARM \($0.kind): \($0.text)" }
    } else {
      lines.append("daemon: not running")
    }
    for volume in report.volumes {
      let sections = volume.sections.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
      lines.append(
        "volume \(volume.name): sections \(sections.isEmpty ? "none" : sections.joined(separator: ", ")); \(volume.fragments) fragments, \(volume.segments) segments"
      )
      if let first = volume.firstWarnings.first {
        lines.append("  \(volume.warnings) sections with a warning; z \(first.z): \(first.text)")
      }
      lines += volume.firstSetAside.map { "  set aside z \($0.z): \($0.text)" }
      if !volume.firstSetAside.isEmpty { lines.append("  `fgnetd retry --all` tries them again") }
      if let live = report.daemon?.volumes.first(where: { $0.name == volume.name }), report.isRunning {
        if let intake = live.intake { lines += self.intake(live.folder, intake) }
        if let doubt = live.doubt { lines.append("  \(doubt)") }
        if !live.awaited.isEmpty {
          let ranges = live.awaited.prefix(10).map { $0[0] == $0[1] ? "\($0[0])" : "\($0[0]) to \($0[1])" }
          lines.append(
            "  waits for z \(ranges.joined(separator: ", ")): drop them in, or `fgnetd declare-missing`")
        }
        lines += activity(live.activity)
      }
    }
    if report.volumes.isEmpty, report.isRunning {
      for volume in report.daemon?.volumes ?? [] {
        lines.append(
          "volume \(volume.name): by the daemon \(volume.final) final, \(volume.provisional) provisional, "
            + "\(volume.received) received, \(volume.missing) missing")
      }
    }
    lines += report.setAside.map { "set aside \(PercentEscape.line($0.path)): \(PercentEscape.line($0.reason))" }
    return lines.joined(separator: "\n")
  }

  private func intake(_ folder: String, _ intake: DaemonStatus.Intake) -> [String] {
    let kind = intake.fileSystem.map { " (\($0))" } ?? ""
    let look = "a look every \(rounded(intake.scanInterval)) s"
    let how = intake.pollsBecause.map { "\(look), because \(PercentEscape.line($0))" } ?? "events, and \(look)"
    return ["  folder \(folder)\(kind): \(how)"] + intake.unseen.map { "  " + $0 }
  }

  private func activity(_ activity: DaemonStatus.Activity) -> [String] {
    let span =
      activity.windowSeconds < 90 ? "\(Int(activity.windowSeconds)) s" : "\(Int(activity.windowSeconds / 60)) min"
    let trend = "\(activity.waiting) sections wait, \(activity.waitingBefore) did \(span) ago"
    var lines = [
      "  last \(span): \(Int(activity.sectionsPerHour.rounded())) sections an hour; "
        + (activity.keepsUp ? "keeps up (\(trend))" : "FALLS BEHIND (\(trend))")
    ]
    let stages = activity.stages.map { "\($0.name) \(Int(($0.share * 100).rounded())) % (\(rounded($0.seconds)) s)" }
    if !stages.isEmpty { lines.append("  busy (in all): " + stages.joined(separator: ", ")) }
    if let stage = activity.bottleneck { lines.append("  the bottleneck is \(stage)") }
    return lines
  }

  private func rounded(_ value: Double) -> String { String((value * 10).rounded() / 10) }
}
