import Domain
import Intake

/// A section in a complete file that the intake offers to the pipeline.
struct OfferedFile: Sendable, Equatable {
  var volume: String
  var z: Int32
  var path: String
  var size: Int64
  var mtimeNs: Int64
  /// Which of the file's sections, from 0, and how many there are.
  var plane = 0
  var planes = 1
}

/// A file that cannot be taken, and why.
struct RefusedFile: Sendable, Equatable {
  var path: String
  var size: Int64
  var mtimeNs: Int64
  var reason: String
}

/// What the intake tells of a file that is not taken in.
enum IntakeNotice: Sendable, Equatable {
  /// It is to be set aside.
  case refused(RefusedFile)
  /// It is not there any more.
  case gone(String)
}

/// What a volume's intake tells of itself.
struct IntakeReport: Sendable, Equatable {
  /// As mount(8) calls it; nil before the first look.
  var fileSystem: String?
  /// Why the folder is looked through at every interval only; nil: events tell what comes.
  var pollsBecause: String?
  /// Files seen and not yet offered (still being written, say).
  var pending = 0
  /// Why nothing is taken in.
  var fault: String?
  /// Sentences on files and folders that cannot be looked at.
  var unseen: [String] = []
}

/// What the intake threads hand to the pipeline thread. Bounded by what lies in the folders: it holds names, not images.
///
/// Unchecked: every access is under `condition`.
final class Inbox: @unchecked Sendable {
  /// A look at a file or a folder that takes longer does not come to an end: seconds.
  static let patience = 120.0

  private let condition = MonotonicCondition()
  private let patience: Double
  private var offered: [OfferedFile] = []
  private var notices: [IntakeNotice] = []
  /// By volume, as is what follows.
  private var reports: [String: IntakeReport] = [:]
  private var lives: [String: LifeSign] = [:]
  private var again: [String: [String]] = [:]
  private var isStopped = false
  private var wantsReload = false
  private var isWoken = false

  init(patience: Double = Inbox.patience) { self.patience = patience }

  // MARK: From the intake

  func offer(_ files: [OfferedFile]) {
    guard !files.isEmpty else { return }
    condition.withLock {
      offered += files
      condition.broadcast()
    }
  }

  func refuse(_ file: RefusedFile) { note(.refused(file)) }

  /// A file is not there any more.
  func gone(_ path: String) { note(.gone(path)) }

  private func note(_ notice: IntakeNotice) {
    condition.withLock {
      notices.append(notice)
      condition.broadcast()
    }
  }

  /// A volume has an intake, which gives signs of life.
  func expect(_ volume: String, _ life: LifeSign) { condition.withLock { lives[volume] = life } }

  /// Where a volume's intake stands; the pipeline shows it in the status.
  func report(_ volume: String, _ report: IntakeReport) { condition.withLock { reports[volume] = report } }

  /// Files that were offered and could not be read; told once.
  func takeFilesToLookAtAgain(_ volume: String) -> [String] {
    condition.withLock { again.removeValue(forKey: volume) ?? [] }
  }

  // MARK: From elsewhere

  /// An offered file could not be read: it is to be offered again.
  /// - Returns: whether there is somebody to do so.
  @discardableResult
  func lookAgain(_ file: OfferedFile) -> Bool {
    condition.withLock {
      if lives[file.volume] == nil { return false }
      again[file.volume, default: []].append(file.path)
      return true
    }
  }

  /// Ends the wait in `take`: work that was handed out has ended.
  func wake() {
    condition.withLock {
      isWoken = true
      condition.broadcast()
    }
  }

  func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
    }
  }

  /// The configuration is to be read anew.
  func askForReload() {
    condition.withLock {
      wantsReload = true
      condition.broadcast()
    }
  }

  // MARK: To the pipeline

  struct Contents {
    var offered: [OfferedFile] = []
    var notices: [IntakeNotice] = []
    /// By volume.
    var reports: [String: IntakeReport] = [:]
    /// Why nothing is taken in, of each volume of which that is so.
    var faults: [String] = []
    var isStopped = false
    var wantsReload = false
  }

  /// Takes what is there; waits up to `timeout` seconds for something if nothing is.
  /// - Parameter wakes: whether `wake` ends the wait too.
  func take(timeout: Double, wakes: Bool = true) -> Contents {
    condition.withLock {
      let end = monotonicSeconds() + timeout
      while timeout > 0, offered.isEmpty, notices.isEmpty, !isStopped, !wantsReload, !(wakes && isWoken),
        condition.wait(until: end)
      {}
      isWoken = false
      defer {
        offered = []
        notices = []
        wantsReload = false
      }
      return Contents(
        offered: offered, notices: notices, reports: reports, faults: faults, isStopped: isStopped,
        wantsReload: wantsReload)
    }
  }

  /// The sentences do not change while a fault lasts: each is an alarm.
  private var faults: [String] {
    lives.keys.sorted().compactMap { volume in
      if let path = lives[volume]?.stuck(for: patience) {
        return
          "volume \(volume): looking at \(PercentEscape.line(path)) does not come to an end, so nothing is taken in; "
          + "its mount does not answer"
      }
      return reports[volume]?.fault.map { "volume \(volume): \($0)" }
    }
  }

  var stopped: Bool { condition.withLock { isStopped } }
}
