import CLinux
import DB
import Domain
import Foundation
import Intake
import Logging
import Synchronization
import Volumes

/// Watches the folders and hands complete files to the inbox, from a thread of its own.
///
/// Events come from the watcher program; a scan at the start, after an overflow, and at every interval finds what
/// events did not tell.
///
/// Unchecked: its state belongs to the thread once started; only `isStopping` and the semaphores are shared.
final class IntakeThread: @unchecked Sendable {
  private struct Watched {
    var volume: DaemonConfiguration.Volume
    var queue: IntakeQueue
  }

  private var watched: [Watched]
  private let interval: Double
  private let inbox: Inbox
  private let log: Logger
  private let program: String
  private var watcher: WatcherProcess?
  private var restarts = RestartPolicy()
  private var restartAt = 0.0
  private var watcherFault: String?
  private let isStopping = Atomic<Bool>(false)
  private let hasLooked = DispatchSemaphore(value: 0)
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameter known: files whose bytes are in the record; they are not read again.
  init(configuration: DaemonConfiguration, known: Set<FileStamp>, inbox: Inbox, log: Logger) throws {
    self.inbox = inbox
    self.log = log
    interval = configuration.intake.scanInterval
    program = Self.program()
    let now = Self.now()
    watched = try configuration.volumes.map { volume in
      let pattern = try FilePattern(volume.pattern)
      var queue = IntakeQueue(folder: volume.folder, pattern: pattern, policy: configuration.intake.policy)
      let below = volume.folder + "/"
      for stamp in known where stamp.path.hasPrefix(below) {
        guard let status = FileStatus(ofFile: stamp.path), status.size == stamp.size, status.modified == stamp.mtimeNs
        else { continue }
        queue.remember(status, now: now)
      }
      return Watched(volume: volume, queue: queue)
    }
  }

  /// The watcher lies beside this program.
  private static func program() -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("fgnet-watch").path
  }

  private static func now() -> Double { ProcessInfo.processInfo.systemUptime }

  func start() {
    let thread = Thread { [self] in
      clinux_name_thread("folders")
      loop()
      finished.signal()
    }
    thread.start()
  }

  /// Until all folders have been looked through once, to be called once.
  func waitForFirstLook() { hasLooked.wait() }

  /// Ends the thread and the watcher.
  func stop() {
    isStopping.store(true, ordering: .relaxed)
    finished.wait()
  }

  private func loop() {
    var scanAt = 0.0
    defer { hasLooked.signal() }
    while !isStopping.load(ordering: .relaxed) {
      startWatcherIfDue()
      if Self.now() >= scanAt || watched.contains(where: { $0.queue.wantsScan }) {
        scanAll()
        if scanAt == 0 { hasLooked.signal() }
        scanAt = Self.now() + interval
      }
      for index in watched.indices { advance(index) }
      publish()
      wait(until: scanAt)
    }
    watcher?.stop()
    watcher = nil
  }

  // MARK: Events and scans

  private func startWatcherIfDue() {
    guard watcher == nil, Self.now() >= restartAt else { return }
    do {
      watcher = try WatcherProcess(program: program, folders: Array(Set(watched.map(\.volume.folder))).sorted())
      restarts.didStart(now: Self.now())
    } catch {
      watcherEnded(error.description)
    }
  }

  private func watcherEnded(_ reason: String) {
    watcher = nil
    restartAt = restarts.didEnd(now: Self.now())
    if watcherFault == nil {
      log.warning("the watcher ended: \(reason); folders are looked through until it runs again")
    }
    watcherFault = reason
  }

  private func readEvents() {
    guard let watcher else { return }
    let events = watcher.read()
    let now = Self.now()
    for event in events {
      switch event {
      case .ready: watcherFault = nil
      case .limit(let text), .fault(let text): log.warning("watcher: \(text)")
      default: break
      }
      for index in watched.indices { watched[index].queue.observe(event, now: now) }
    }
    if let ending = watcher.ending { watcherEnded(ending) }
  }

  private func scanAll() {
    for index in watched.indices {
      let started = Self.now()
      let result = FolderScanner.scan(watched[index].volume.folder, recursive: true)
      watched[index].queue.scan(result, started: started, now: Self.now())
    }
  }

  private func advance(_ index: Int) {
    for path in watched[index].queue.due(Self.now()) {
      let outcome = ImageProbe.probe(path, watched[index].volume.images).outcome
      watched[index].queue.probed(path, outcome, status: FileStatus(ofFile: path), now: Self.now())
    }
    var ready: [OfferedFile] = []
    for action in watched[index].queue.take() {
      switch action {
      case .ready(let file):
        if let volume = file.volume, volume != watched[index].volume.name { continue }
        ready += OfferedFile.sections(of: file, volume: watched[index].volume.name)
      case .quarantine(let path, let reason): inbox.refuse(RefusedFile(path: path, reason: reason))
      case .ignored(let path, let reason): log.notice("left alone \(path): \(reason)")
      }
    }
    inbox.offer(ready)
  }

  private func publish() {
    inbox.setPending(watched.reduce(0) { $0 + $1.queue.pendingCount })
    inbox.report(
      watched.compactMap { watched in watched.queue.suspended.map { "volume \(watched.volume.name): \($0)" } })
  }

  /// Until the watcher says something, a file is due, or the next scan.
  private func wait(until scanAt: Double) {
    let due = watched.compactMap(\.queue.nextDue).min() ?? .infinity
    let until = min(scanAt, due, watcher == nil ? max(restartAt, Self.now() + 0.05) : .infinity)
    let milliseconds = Int32(max(0, min(250, (until - Self.now()) * 1000 + 1)))
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

extension ImageProbeResult {
  var outcome: ProbeOutcome {
    switch self {
    case .complete(let facts): .complete(sections: facts.sections)
    case .incomplete(let reason): .incomplete(reason: reason)
    case .unusable(let reason): .unusable(reason: reason)
    }
  }
}

extension OfferedFile {
  /// Every section in a file, from the lowest.
  static func sections(of file: ReadyFile, volume: String) -> [OfferedFile] {
    (0..<file.sections).map { plane in
      OfferedFile(
        volume: volume, z: file.z + SectionNumber(plane), path: file.path, size: file.status.size,
        mtimeNs: file.status.modified, plane: plane, planes: file.sections)
    }
  }
}

extension RefusedFile {
  init(path: String, reason: String) {
    let status = FileStatus(ofFile: path)
    self.init(path: path, size: status?.size ?? 0, mtimeNs: status?.modified ?? 0, reason: reason)
  }
}

/// A folder taken as it lies: every file is either whole now or set aside.
enum FolderIntake {
  static func scanOnce(
    _ volume: DaemonConfiguration.Volume, policy: IntakePolicy
  ) throws -> (offered: [OfferedFile], refused: [RefusedFile]) {
    let pattern = try FilePattern(volume.pattern)
    guard case .listing(let listing) = FolderScanner.scan(volume.folder, recursive: true) else {
      throw OperatorError("the folder \(volume.folder) cannot be listed; check its permissions", status: .noInput)
    }
    var offered: [OfferedFile] = []
    var refused: [RefusedFile] = []
    for file in listing.files {
      let relative = String(
        file.path.dropFirst(volume.folder.hasSuffix("/") ? volume.folder.count : volume.folder.count + 1))
      guard !policy.ignores(relative) else { continue }
      switch pattern.match(relative) {
      case .other: continue
      case .refused(let reason): refused.append(RefusedFile(path: file.path, reason: reason))
      case .section(let z, let name):
        if let name, name != volume.name { continue }
        switch ImageProbe.probe(file.path, volume.images) {
        case .complete(let facts):
          guard Int(z) + facts.sections - 1 <= Int(pattern.range.upperBound) else {
            refused.append(
              RefusedFile(path: file.path, reason: "its last section would be above \(pattern.range.upperBound)"))
            continue
          }
          let ready = ReadyFile(path: file.path, z: z, volume: name, status: file, sections: facts.sections)
          offered += OfferedFile.sections(of: ready, volume: volume.name)
        case .incomplete(let reason), .unusable(let reason):
          refused.append(RefusedFile(path: file.path, reason: reason))
        }
      }
    }
    offered.sort { ($0.z, $0.path) < ($1.z, $1.path) }
    return (offered, refused)
  }
}
