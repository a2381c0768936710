import Foundation

/// What the daemon last said of itself: `status.json` in the state directory (`StatusFile`).
struct DaemonStatus: Codable, Sendable, Equatable {
  struct Alarm: Codable, Sendable, Equatable {
    /// `disk`, `database`, `folder`, `stage`, `intake`.
    var kind: String
    var text: String
    var since: Date
  }

  /// How a volume's folder is looked at.
  struct Intake: Codable, Sendable, Equatable {
    /// As mount(8) calls it.
    var fileSystem: String?
    /// Why it is looked through at every interval only; nil: events tell what comes.
    var pollsBecause: String?
    /// Seconds.
    var scanInterval: Double
    /// Sentences on files and folders in it that cannot be looked at.
    var unseen: [String]
  }

  struct Volume: Codable, Sendable, Equatable {
    var name: String
    var folder: String
    /// Nil while nobody looks at it.
    var intake: Intake?
    var received: Int
    var provisional: Int
    var final: Int
    var missing: Int
    /// Sections that a stage failed on, or that an operator left out.
    var sectionsSetAside: Int
    /// Sections that are waited for, as ranges: first and last number. The lowest 100.
    var awaited: [[Int32]]
    /// How many sections are waited for.
    var awaitedCount: Int
    /// A sentence, if so many are waited for that a number is likely wrong.
    var doubt: String?
    /// Sections that are being segmented, in the order they were begun.
    var atWork: [Int32]
    var finishedAt: Int32?
    var secondsByStage: [String: Double]
    var activity: Activity
  }

  var pid: Int32
  var startedAt: Date
  var writtenAt: Date
  var state: String
  /// Nothing is left to do with what has come so far.
  var isIdle: Bool
  var waitingFiles: Int
  /// Files set aside since the start.
  var setAside: Int
  var alarms: [Alarm]
  var volumes: [Volume]

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
