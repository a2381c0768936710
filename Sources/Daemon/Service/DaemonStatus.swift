import Foundation
import Web

extension DaemonStatus {
  static func path(in stateDirectory: String) -> String { stateDirectory + "/status.json" }

  func write(to stateDirectory: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.dateEncodingStrategy = .iso8601
    let file = StatusFile(stateDirectory: stateDirectory)
    try file.replace(with: Array(encoder.encode(self)))
    try file.reserve()
  }

  static func read(from stateDirectory: String) -> DaemonStatus? {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let path = path(in: stateDirectory)
    // A reader that is slower than two replacements may see a file that is being written.
    for _ in 0..<10 {
      guard let data = FileManager.default.contents(atPath: path) else { return nil }
      if let status = try? decoder.decode(DaemonStatus.self, from: data) { return status }
    }
    return nil
  }

  /// Whether the process that wrote it is alive.
  var isAlive: Bool { kill(pid, 0) == 0 || errno == EPERM }
}

/// The alarms that stand now: raised once, logged once, gone when the cause is.
struct AlarmBoard {
  private(set) var alarms: [DaemonStatus.Alarm] = []

  /// Returns whether the alarm is new or says something else than before.
  mutating func raise(_ kind: String, _ text: String) -> Bool {
    if let index = alarms.firstIndex(where: { $0.kind == kind }) {
      guard alarms[index].text != text else { return false }
      alarms[index].text = text
      return true
    }
    alarms.append(DaemonStatus.Alarm(kind: kind, text: text, since: Date()))
    return true
  }

  /// Returns whether it stood.
  mutating func clear(_ kind: String) -> Bool {
    guard let index = alarms.firstIndex(where: { $0.kind == kind }) else { return false }
    alarms.remove(at: index)
    return true
  }
}
