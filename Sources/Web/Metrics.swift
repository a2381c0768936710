import Foundation
import Glibc

/// The text that Prometheus reads (exposition format 0.0.4).
struct Metrics {
  private(set) var text = ""

  enum Kind: String {
    case gauge, counter
  }

  /// Adds a metric.
  /// - Parameter samples: labels and values; a label's value may be any text.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]
  ) {
    guard !samples.isEmpty else { return }
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    for sample in samples {
      let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
      text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(Self.number(sample.value))\n"
    }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
    add(name, kind, help, [(labels: [], value: value)])
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }
}

extension Metrics {
  /// Everything that is told of the daemon.
  init(
    _ status: DaemonStatus?, requests: (served: Int, refused: Int, failed: Int), cacheBytes: Int, stateDirectory: String
  ) {
    add("fgnetd_up", .gauge, "1 if the daemon has told its state in the last minute.", Self.isFresh(status) ? 1 : 0)
    if let status {
      add(
        "fgnetd_start_time_seconds", .gauge, "When the daemon started, seconds since 1970.",
        status.startedAt.timeIntervalSince1970)
      addVolumes(status)
      add("fgnetd_files_waiting", .gauge, "Files seen and not yet taken in.", Double(status.waitingFiles))
      add("fgnetd_files_set_aside_total", .counter, "Files set aside since the start.", Double(status.setAside))
      let standing = Set(status.alarms.map(\.kind))
      add(
        "fgnetd_alarm", .gauge, "1 while the alarm stands.",
        Set(["intake", "database", "disk", "stage"]).union(standing).sorted().map {
          (labels: [("kind", $0)], value: standing.contains($0) ? 1 : 0)
        })
    }
    add("fgnetd_http_requests_total", .counter, "Requests answered.", Double(requests.served))
    add("fgnetd_http_requests_refused_total", .counter, "Requests over the limits.", Double(requests.refused))
    add(
      "fgnetd_http_requests_failed_total", .counter, "Requests answered with a fault of the server.",
      Double(requests.failed))
    add("fgnetd_http_tile_cache_bytes", .gauge, "Bytes of tiles kept.", Double(cacheBytes))
    addProcess()
    if let disk = Disk(stateDirectory) {
      add(
        "fgnetd_state_directory_free_bytes", .gauge, "Free bytes on the disk of the state directory.", Double(disk.free)
      )
      add("fgnetd_state_directory_size_bytes", .gauge, "Bytes of that disk.", Double(disk.size))
    }
  }

  /// Whether the daemon is alive to itself.
  static func isFresh(_ status: DaemonStatus?) -> Bool {
    guard let status else { return false }
    return Date().timeIntervalSince(status.writtenAt) < 60
  }

  private mutating func addVolumes(_ status: DaemonStatus) {
    add(
      "fgnetd_sections", .gauge, "Sections by state.",
      status.volumes.flatMap { volume in
        [
          ("received", volume.received), ("provisional", volume.provisional), ("final", volume.final),
          ("missing", volume.missing), ("set_aside", volume.sectionsSetAside), ("awaited", volume.awaitedCount),
        ].map { (labels: [("volume", volume.name), ("state", $0.0)], value: Double($0.1)) }
      })
    func each(_ value: (DaemonStatus.Volume) -> Double) -> [(labels: [(String, String)], value: Double)] {
      status.volumes.map { (labels: [("volume", $0.name)], value: value($0)) }
    }
    add(
      "fgnetd_sections_per_hour", .gauge, "Sections made final an hour, over the last ten minutes.",
      each { $0.activity.sectionsPerHour })
    add(
      "fgnetd_keeps_up", .gauge, "1 if no more sections wait than ten minutes ago.",
      each { $0.activity.keepsUp ? 1 : 0 })
    add("fgnetd_sections_waiting", .gauge, "Sections that wait.", each { Double($0.activity.waiting) })
    add(
      "fgnetd_stage_busy_ratio", .gauge, "Share of the last ten minutes that a stage was at work.",
      status.volumes.flatMap { volume in
        volume.activity.stages.map {
          (labels: [("volume", volume.name), ("stage", $0.name)], value: $0.share)
        }
      })
    add(
      "fgnetd_stage_seconds_total", .counter, "Seconds that a stage was at work since the start.",
      status.volumes.flatMap { volume in
        volume.activity.stages.map {
          (labels: [("volume", volume.name), ("stage", $0.name)], value: $0.seconds)
        }
      })
  }

  private mutating func addProcess() {
    guard let memory = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = memory.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
    else { return }
    add("process_resident_memory_bytes", .gauge, "Resident memory.", pages * Double(sysconf(Int32(_SC_PAGESIZE))))
    if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
      add("process_open_fds", .gauge, "Open files.", Double(files.count))
    }
  }
}

/// Room on the disk of a folder.
struct Disk: Encodable {
  /// Bytes that this user may still write.
  var free: UInt64
  var size: UInt64

  init?(_ folder: String) {
    var facts = statvfs()
    guard statvfs(folder, &facts) == 0 else { return nil }
    free = UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
    size = UInt64(facts.f_blocks) * UInt64(facts.f_frsize)
  }
}
