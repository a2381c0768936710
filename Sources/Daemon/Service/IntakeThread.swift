import CLinux
import DB
import Domain
import Foundation
import Intake
import Logging
import Synchronization
import Volumes

/// Watches a volume's folder and hands complete files to the inbox, from a thread of its own: a mount that does not answer
/// stops the intake of its volume only.
///
/// Events come from the watcher program where the file system tells them; a scan at the start, after an overflow, and at every
/// interval finds what events did not tell.
///
/// Unchecked: its state belongs to the thread once started; only `isStopping`, `life` and the semaphores are shared.
final class IntakeThread: @unchecked Sendable {
  /// Files that are looked at before those found whole are handed on.
  private static let batch = 500
  /// Seconds between looks at a folder that is gone.
  private static let suspendedInterval = 1.0
  /// Seconds after which a watcher that reached a limit of the system is started anew.
  private static let limitPause = 600.0

  private let volume: DaemonConfiguration.Volume
  private var queue: IntakeQueue
  private let interval: Double
  private let inbox: Inbox
  private let log: Logger
  private let view: FolderView
  private let program: String
  private let life = LifeSign()
  private var watcher: WatcherProcess?
  private var restarts = RestartPolicy()
  private var restartAt = 0.0
  /// Why there are no events: the watcher ended.
  private var watcherFault: String?
  /// Why there are not all events: the watcher reached a limit of the system. It is started anew at `restartAt`.
  private var watcherLimit: String?
  private var fileSystem: FileSystemType?
  private var identity: FolderListing.Identity?
  private var toldFaults: Set<String> = []
  private let isStopping = Atomic<Bool>(false)
  private let hasLooked = DispatchSemaphore(value: 0)
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameters:
  ///   - known: files whose bytes are in the record; they are not read again.
  ///   - setAside: paths that are set aside in the record; it is told when they are gone.
  init(
    _ volume: DaemonConfiguration.Volume, _ intake: DaemonConfiguration.Intake, known: Set<FileStamp>,
    setAside: Set<String>, inbox: Inbox, log: Logger, view: FolderView = FolderView(), program: String? = nil
  ) throws {
    self.volume = volume
    self.inbox = inbox
    self.log = log
    self.view = view
    self.program = program ?? Self.watcherProgram
    interval = intake.scanInterval
    queue = IntakeQueue(folder: volume.folder, pattern: try FilePattern(volume.pattern), policy: intake.policy)
    let below = volume.folder + "/"
    for stamp in known where stamp.path.hasPrefix(below) {
      queue.remember(path: stamp.path, size: stamp.size, modified: stamp.mtimeNs)
    }
    for path in setAside where path.hasPrefix(below) { queue.rememberSetAside(path: path) }
    inbox.expect(volume.name, life)
  }

  /// The watcher lies beside this program.
  static let watcherProgram = Programs.path(beside: "fgnet-watch")

  func start() {
    let thread = Thread { [self] in
      clinux_name_thread("folders")
      loop()
      finished.signal()
    }
    thread.start()
  }

  /// Until every folder has been looked through once; to be called once. A mount that does not answer is not waited for longer
  /// than `seconds`.
  static func waitForFirstLook(_ intakes: [IntakeThread], seconds: Double = 60) {
    let end = DispatchTime.now() + seconds
    for intake in intakes where intake.hasLooked.wait(timeout: end) != .success {
      let (name, folder) = (intake.volume.name, intake.volume.folder)
      intake.log.error("\(name): \(folder) has not been looked through after \(Int(seconds)) s; check its mount")
    }
  }

  /// Ends the threads and their watchers. A thread that a mount holds is left where it is, after `seconds`.
  static func stop(_ intakes: [IntakeThread], seconds: Double = 5) {
    for intake in intakes { intake.isStopping.store(true, ordering: .relaxed) }
    let end = DispatchTime.now() + seconds
    for intake in intakes where intake.finished.wait(timeout: end) != .success {
      intake.log.warning("\(intake.volume.name): a call on \(intake.volume.folder) does not return; it is left behind")
    }
  }

  private func loop() {
    var scanAt = 0.0
    defer { hasLooked.signal() }
    while !isStopping.load(ordering: .relaxed) {
      if monotonicSeconds() >= scanAt || queue.wantsScan {
        scan()
        if scanAt == 0 { hasLooked.signal() }
        scanAt = monotonicSeconds() + (queue.suspended == nil ? interval : min(interval, Self.suspendedInterval))
      }
      startWatcherIfDue()
      for path in inbox.takeFilesToLookAtAgain(volume.name) { queue.lookAgain(path, now: monotonicSeconds()) }
      let isBusy = advance()
      publish()
      wait(until: isBusy ? 0 : scanAt)
    }
    endWatcher()
  }

  // MARK: Events

  private var mayWatch: Bool { identity != nil && fileSystem?.tellsEvents ?? true }

  private func startWatcherIfDue() {
    guard mayWatch, queue.suspended == nil, watcher == nil || watcherLimit != nil, monotonicSeconds() >= restartAt
    else {
      return
    }
    // One that reached a limit makes room for the next.
    watcher = nil
    watcherLimit = nil
    do {
      watcher = try WatcherProcess(program: program, folders: [volume.folder])
      restarts.didStart(now: monotonicSeconds())
    } catch {
      watcherEnded(error.description)
    }
  }

  private func watcherEnded(_ reason: String) {
    watcher = nil
    restartAt = restarts.didEnd(now: monotonicSeconds())
    if watcherFault == nil {
      log.warning("\(volume.name): the watcher ended: \(reason); the folder is looked through until it runs again")
    }
    watcherFault = reason
  }

  private func endWatcher() {
    watcher = nil
    watcherFault = nil
    watcherLimit = nil
    restartAt = 0
  }

  private func readEvents() {
    guard let watcher else { return }
    let events = watcher.read()
    let now = monotonicSeconds()
    for event in events {
      switch event {
      case .ready: watcherFault = nil
      case .limit(let text):
        log.warning("\(volume.name): the watcher: \(text); until then the folder is looked through every \(seconds)")
        watcherLimit = text
        // It may be raised meanwhile.
        restartAt = now + Self.limitPause
      case .fault(let text): log.warning("\(volume.name): the watcher: \(PercentEscape.line(text))")
      default: break
      }
      queue.observe(event, now: now)
    }
    if let ending = watcher.ending { watcherEnded(ending) }
  }

  // MARK: Scans

  private var seconds: String { interval == interval.rounded() ? "\(Int(interval)) s" : "\(interval) s" }

  private func scan() {
    let started = monotonicSeconds()
    let result = view.scan(volume.folder) { life.give(volume.folder) }
    if case .listing(let listing) = result { note(listing) }
    let wasSuspended = queue.suspended != nil
    queue.scan(result, started: started, now: monotonicSeconds())
    if wasSuspended, queue.suspended == nil, watcher == nil { restartAt = 0 }
    life.give(volume.folder)
    tellFaults()
  }

  /// Another folder at the same path needs another watcher, and another file system perhaps none.
  private func note(_ listing: FolderListing) {
    if listing.identity != identity, identity != nil {
      endWatcher()
    }
    if identity == nil || listing.fileSystem != fileSystem {
      let name = listing.fileSystem?.name ?? "an unknown file system"
      if listing.fileSystem?.tellsEvents ?? true {
        log.info("\(volume.name): \(volume.folder) is on \(name): events, and a look every \(seconds)")
      } else {
        endWatcher()
        log.notice("\(volume.name): \(volume.folder) is on \(name), which tells no events: a look every \(seconds)")
      }
    }
    identity = listing.identity
    fileSystem = listing.fileSystem
  }

  /// Each fault of a listing once, until it is gone.
  private func tellFaults() {
    let faults = Set(queue.faults.map { PercentEscape.line($0.description) })
    for fault in faults.subtracting(toldFaults).sorted() {
      log.warning("\(volume.name): \(fault); tried again every \(seconds)")
    }
    toldFaults = faults
  }

  // MARK: Files

  /// Looks at files that are due. Returns whether there may be more.
  private func advance() -> Bool {
    let due = queue.due(monotonicSeconds(), limit: Self.batch)
    for path in due {
      life.give(path)
      let outcome = view.probe(path, volume.images)
      queue.probed(path, outcome, status: view.status(path), now: monotonicSeconds())
    }
    life.give(volume.folder)
    var ready: [OfferedFile] = []
    for action in queue.take() {
      switch action {
      case .ready(let file):
        if let name = file.volume, name != volume.name { continue }
        ready += OfferedFile.sections(of: file, volume: volume.name)
      case .quarantine(let path, let reason): inbox.refuse(RefusedFile(path: path, reason: reason, view.status(path)))
      case .ignored(let path, let reason):
        log.notice("\(volume.name): left alone \(PercentEscape.line(path)): \(reason)")
      case .gone(let path): inbox.gone(path)
      }
    }
    inbox.offer(ready)
    return due.count == Self.batch
  }

  private func publish() {
    var report = IntakeReport()
    report.pending = queue.pendingCount
    report.fault = queue.suspended
    report.fileSystem = fileSystem?.name
    report.unseen = toldFaults.sorted()
    if !mayWatch, let name = fileSystem?.name {
      report.pollsBecause = "\(name) tells no events"
    } else {
      report.pollsBecause = watcherFault ?? watcherLimit
    }
    inbox.report(volume.name, report)
  }

  /// Until the watcher says something, a file is due, or the next scan.
  private func wait(until scanAt: Double) {
    let until = min(
      scanAt, queue.nextDue ?? .infinity, watcher == nil && mayWatch && queue.suspended == nil ? restartAt : .infinity)
    let milliseconds = Int32(max(0, min(250, (until - monotonicSeconds()) * 1000 + 1)))
    life.give(volume.folder)
    guard let watcher else {
      poll(nil, 0, milliseconds)
      return
    }
    var descriptor = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
    if poll(&descriptor, 1, milliseconds) > 0 { readEvents() }
  }
}

extension DaemonConfiguration.Intake {
  /// As the intake takes it. Endings are told from hidden names by their leading star.
  var policy: IntakePolicy {
    IntakePolicy(
      settle: settle, deadline: incompleteDeadline,
      ignoredEndings: ignore.filter { $0.hasPrefix("*") }.map { String($0.dropFirst()) },
      ignoresHidden: ignore.contains(".*"))
  }
}
