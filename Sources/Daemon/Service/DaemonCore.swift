import CLinux
import DB
import Domain
import FGNetKernel
import Foundation
import Logging
import Plugins
import Volumes

/// The daemon: takes offered files in, lets each volume's pipeline work, and survives what goes wrong around it.
/// One thread decides and writes to the database; the intake runs on another and hands over names through the inbox, and
/// what the pipelines hand out is done by the executor's.
final class DaemonCore {
  /// Changed by `reload` only.
  var configuration: DaemonConfiguration
  let inbox: Inbox
  let log: Logger
  private let session: DatabaseSession
  private(set) var pipelines: [VolumePipeline] = []
  /// Nil while there is no database.
  var record: Record?
  private var executor: (any Executor)?
  /// By volume; they outlive a lost connection.
  private var timings: [String: StageTimings] = [:]
  private var offers = OfferQueue()
  private var refusals: [RefusedFile] = []
  private(set) var alarms = AlarmBoard()
  private let startedAt = Date()
  private var statusWritten = 0.0
  private var wasIdle = false
  /// Files set aside since the start.
  private(set) var setAside = 0
  /// The service manager that is told of readiness, progress and life; tests put their own in.
  var manager = ServiceManager()
  private var watchdog = Watchdog()
  /// Makes what the pipelines' work is done by, given what is to be called when a piece of it has ended.
  var makeExecutor: (@escaping @Sendable () -> Void) -> any Executor = { ThreadExecutor(whenDone: $0) }
  /// Called with the stages of each volume before they are used; tests put their own in.
  var adjust: (StageSet) -> StageSet = { $0 }
  /// Whether the tail is shown provisionally when nothing else is to do.
  var showsTail = true
  /// Called before work while no offered file waits; may be called again.
  var onOffersTaken: (() throws -> Void)?
  /// Seconds of the first pause after a failure.
  var shortestPause = 1.0
  /// Called after each step, for progress bars.
  var onProgress: (() -> Void)?
  /// Called with each section whose rows have become final.
  var onFinal: ((VolumePipeline, SectionNumber) throws -> Void)?

  init(configuration: DaemonConfiguration, inbox: Inbox, log: Logger) throws {
    self.configuration = configuration
    self.inbox = inbox
    self.log = log
    try Self.prepare(stateDirectory: configuration.stateDirectory)
    session = DatabaseSession(configuration, ownsCluster: true)
  }

  /// Of the database, for libpq.
  var conninfo: String { session.conninfo }

  // MARK: Opening

  func open() throws {
    let record = try session.open()
    let maker = StageMaker(configuration)
    try openPipelines(record, maker, maker.make())
    // Not before: a record whose pipelines could not be set up is opened again.
    self.record = record
  }

  func openPipelines(_ record: Record, _ maker: StageMaker, _ sets: [StageSet]) throws {
    if configuration.threads > 0 { OpenBLAS.useThreads(configuration.threads) }
    // Planes of sections, that is.
    clinux_return_blocks(1 << 20)
    KernelMemory.keep(within: configuration.memoryLimit - FGNetAffinityStage.reserve)
    let executor = makeExecutor { [inbox] in inbox.wake() }
    self.executor = executor
    pipelines = try zip(configuration.volumes, sets).map { volume, stages in
      if let note = maker.voxelNote(stages) { log.info("\(volume.name): \(note)") }
      let store = SectionStore(directory: configuration.stateDirectory + "/sections/" + volume.name)
      let timings = timings[volume.name] ?? StageTimings()
      self.timings[volume.name] = timings
      let pipeline = try VolumePipeline(
        configuration: volume, stages: adjust(stages), store: store, record: record, provenance: maker.provenance,
        executor: executor, timings: timings, log: log)
      pipeline.onFinal = { [unowned self, unowned pipeline] in try onFinal?(pipeline, $0) }
      return pipeline
    }
  }

  /// Ends all work: what has begun is brought to its end, what has not is forgotten. Nothing is lost by that.
  func close() {
    closePipelines()
    record = nil
    do { try session.close() } catch { log.warning("\(error)") }
  }

  func closePipelines() {
    executor?.close()
    executor = nil
    watchdog = Watchdog()
    offers.readAgain()
    pipelines = []
  }

  /// Files whose bytes are known, so that a restart need not read them again.
  func knownFiles() throws -> Set<FileStamp> {
    guard let record else { return [] }
    return try pipelines.reduce(into: []) { $0.formUnion(try record.knownFiles($1.volume.id)) }
  }

  /// Says which kernels the network runs on; a choice that does not suit the processor is a warning.
  func logProcessor() {
    let core = OpenBLAS.coreName
    if let better = OpenBLAS.coreTypeToRestartWith() {
      log.warning("OpenBLAS uses its \(core) kernels, \(better) would suit this processor; unset OPENBLAS_CORETYPE")
    } else {
      log.info("OpenBLAS uses its \(core) kernels")
    }
    log.info("the fastest kernels of the network on this processor: \(Precision.best.kernels)")
  }

  // MARK: Running

  /// Runs until the inbox is stopped or, if given, `isDone` says so after a step without work.
  func run(until isDone: () throws -> Bool = { false }) throws {
    manager.notify("READY=1")
    defer { manager.notify("STOPPING=1") }
    var progress = Progress.worked
    var pause = Pause(shortest: shortestPause)
    while true {
      let contents = inbox.take(
        timeout: progress == .worked ? 0 : pause.seconds > 0 ? pause.seconds : 1, wakes: pause.seconds == 0)
      if contents.isStopped { return }
      if contents.wantsReload { reload() }
      offers.add(contents.offered)
      refusals += contents.refused
      note("intake", contents.faults.first)
      do {
        progress = try turn()
        if progress != .waiting {
          pause.succeeded()
          for kind in ["database", "disk", "stage"] { note(kind, nil) }
        }
        if progress == .idle, offers.isEmpty, try isDone() { return }
      } catch {
        progress = .idle
        pause.failed()
        try survive(error)
      }
      if watchdog.isToBeFed(executor?.signs ?? [:], isWaiting: progress == .waiting) { manager.notify("WATCHDOG=1") }
      writeStatus(contents.pending, isBusy: progress != .idle)
      onProgress?()
    }
  }

  /// One turn: takes in what is offered, then one step of work.
  private func turn() throws -> Progress {
    let record = try reopened()
    while let refusal = refusals.first {
      try record.quarantine(
        path: refusal.path, size: refusal.size, mtimeNs: refusal.mtimeNs, reason: refusal.reason)
      log.error("set aside \(refusal.path): \(refusal.reason)")
      refusals.removeFirst()
      setAside += 1
    }
    if let executor { offers.read(for: pipelines, by: executor) }
    if let first = offers.first {
      do { try take(first.offer, first.result, record) } catch {
        offers.readAgain()
        throw error
      }
      offers.removeFirst()
      return .worked
    }
    if offers.isReading, pipelines.contains(where: \.goesOneByOne) { return .waiting }
    if offers.isEmpty { try onOffersTaken?() }
    var progress: Progress = offers.isEmpty ? .idle : .waiting
    let now = ProcessInfo.processInfo.systemUptime
    for pipeline in pipelines {
      try pipeline.refresh()
      try pipeline.declareOverdue(now: now)
      switch try pipeline.step(showsTail: showsTail && offers.isEmpty) {
      case .worked: return .worked
      case .waiting: progress = .waiting
      case .idle: break
      }
    }
    if progress == .idle { for pipeline in pipelines { try pipeline.publishVolume() } }
    return progress
  }

  /// Records one file that was read; what is wrong with the file itself sets it aside.
  private func take(
    _ offer: OfferedFile, _ result: Result<SectionWork.TakenIn, any Error>, _ record: Record
  ) throws {
    guard let pipeline = pipelines.first(where: { $0.name == offer.volume }) else { return }
    do {
      try pipeline.receive(offer, result.get())
      // The first of a file's sections comes first; what is wrong with a later one must stand.
      if offer.plane == 0 { try record.resolveQuarantine(path: offer.path) }
    } catch let error as VolumeError where error.isAbout(offer.path) {
      try record.quarantine(
        path: offer.path, size: offer.size, mtimeNs: offer.mtimeNs, reason: error.description)
      log.error("set aside \(error)")
      setAside += 1
    }
  }

  // MARK: Faults

  /// A connection that works: the one there is, or a new one, with the pipelines set up again on what the database holds.
  private func reopened() throws -> Record {
    if let record, record.connection.isConnected { return record }
    close()
    try open()
    log.notice("database connected")
    guard let record else { throw OperatorError("the database did not open") }
    return record
  }

  /// Keeps the daemon alive through a fault that may pass; rethrows what only the operator can mend.
  private func survive(_ error: any Error) throws {
    switch error {
    case let error as DatabaseError where error.isTransient:
      record = nil
      note("database", "\(error); trying again")
    case let error as VolumeError where error.isNoSpace:
      note("disk", "\(error); free some room, work goes on by itself")
    case is OperatorError:
      throw error
    default:
      note("stage", "\(error)")
    }
  }

  /// Raises, changes or (with nil) clears the alarm of a kind; each change is one line in the log.
  private func note(_ kind: String, _ text: String?) {
    if let text {
      if alarms.raise(kind, text) { log.error("alarm \(kind): \(text)") }
    } else if alarms.clear(kind) {
      log.notice("alarm \(kind) is over")
    }
  }

  private func writeStatus(_ pending: Int, isBusy: Bool) {
    let now = ProcessInfo.processInfo.systemUptime
    let isIdle = !isBusy && offers.isEmpty && refusals.isEmpty
    guard isIdle != wasIdle || now - statusWritten > 0.5 else { return }
    statusWritten = now
    wasIdle = isIdle
    for pipeline in pipelines {
      pipeline.timings.noteWaiting(pipeline.received + offers.count(volume: pipeline.name))
    }
    let status = DaemonStatus(
      pid: getpid(), startedAt: startedAt, writtenAt: Date(), state: alarms.alarms.isEmpty ? "running" : "alarm",
      isIdle: isIdle, waitingFiles: pending + offers.count, setAside: setAside, alarms: alarms.alarms,
      volumes: pipelines.map(\.status))
    do { try status.write(to: configuration.stateDirectory) } catch {
      log.warning("status.json in \(configuration.stateDirectory) cannot be written: \(error.localizedDescription)")
    }
    let done = status.volumes.reduce(0) { $0 + $1.final }
    let waiting = status.volumes.reduce(0) { $0 + $1.received + $1.provisional }
    let raised = alarms.alarms.map { "; ALARM \($0.kind): \($0.text)" }.joined()
    manager.notify(
      "STATUS=\(done) sections final, \(waiting) on the way, \(status.waitingFiles) files waiting\(raised)")
  }
}
