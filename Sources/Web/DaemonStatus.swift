package import Foundation

/// What the daemon last said of itself: `status.json` in its state directory, `/api/v1/status`.
package struct DaemonStatus: Codable, Sendable, Equatable {
  package struct Alarm: Codable, Sendable, Equatable {
    /// `disk`, `database`, `stage`, `intake`.
    package var kind: String
    package var text: String
    package var since: Date

    package init(kind: String, text: String, since: Date) {
      self.kind = kind
      self.text = text
      self.since = since
    }
  }

  /// How a volume's folder is looked at.
  package struct Intake: Codable, Sendable, Equatable {
    /// As mount(8) calls it.
    package var fileSystem: String?
    /// Why it is looked through at every interval only; nil: events tell what comes.
    package var pollsBecause: String?
    /// Seconds.
    package var scanInterval: Double
    /// Sentences on files and folders in it that cannot be looked at.
    package var unseen: [String]

    package init(fileSystem: String?, pollsBecause: String?, scanInterval: Double, unseen: [String]) {
      self.fileSystem = fileSystem
      self.pollsBecause = pollsBecause
      self.scanInterval = scanInterval
      self.unseen = unseen
    }
  }

  package struct Volume: Codable, Sendable, Equatable {
    package var name: String
    package var folder: String
    /// Nil while nobody looks at it.
    package var intake: Intake?
    package var received = 0
    package var provisional = 0
    package var final = 0
    package var missing = 0
    /// Sections that a stage failed on, or that an operator left out.
    package var sectionsSetAside = 0
    /// Sections that are waited for, as ranges: first and last number. The lowest 100.
    package var awaited: [[Int32]] = []
    /// How many sections are waited for.
    package var awaitedCount = 0
    /// A sentence, if so many are waited for that a number is likely wrong.
    package var doubt: String?
    /// Sections that are being segmented, in the order they were begun.
    package var atWork: [Int32] = []
    package var finishedAt: Int32?
    package var secondsByStage: [String: Double] = [:]
    package var activity: Activity

    package init(name: String, folder: String, activity: Activity) {
      self.name = name
      self.folder = folder
      self.activity = activity
    }
  }

  package var pid: Int32
  package var startedAt: Date
  package var writtenAt: Date
  package var state: String
  /// Nothing is left to do with what has come so far.
  package var isIdle: Bool
  package var waitingFiles: Int
  /// Files set aside since the start.
  package var setAside: Int
  package var alarms: [Alarm]
  package var volumes: [Volume]

  /// Of this process, now.
  package init(
    startedAt: Date, isIdle: Bool, waitingFiles: Int, setAside: Int, alarms: [Alarm], volumes: [Volume]
  ) {
    pid = getpid()
    self.startedAt = startedAt
    writtenAt = Date()
    state = alarms.isEmpty ? "running" : "alarm"
    self.isIdle = isIdle
    self.waitingFiles = waitingFiles
    self.setAside = setAside
    self.alarms = alarms
    self.volumes = volumes
  }
}
