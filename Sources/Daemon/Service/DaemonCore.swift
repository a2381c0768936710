import CLinux
import DB
import Domain
import FGNetKernel
import Foundation
import Intake
import Logging
import Plugins
import Volumes
import Web

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
  var offers = OfferQueue()
  var notices: [IntakeNotice] = []
  /// By volume, as the intake last told.
  var reports: [String: IntakeReport] = [:]
  /// Paths of files that are set aside now.
  var openQuarantine: Set<String> = []
  private(set) var alarms = AlarmBoard()
  /// What the database was not told of them yet.
  private var untold: [AlarmNote] = []
  private let startedAt = Date()
  /// Of the volumes, what was last known: while the database is away there are no pipelines.
  private var shownVolumes: [DaemonStatus.Volume] = []
  private var statusWritten = 0.0
  /// Why the status could not be written the last time; told once.
  private var statusFault: String?
  private var wasIdle = false
  /// Files set aside since the start.
  var setAside = 0
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
  /// Seconds that reading a file into the store may take before an alarm says so.
  var readingPatience = 300.0
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
    session = DatabaseSession(configuration, isDaemon: true)
  }

  /// Of the database, for libpq.
  var conninfo: String { session.conninfo }

  // MARK: Opening

  func open() throws {
    let record = try session.open()
    let maker = StageMaker(configuration, log: log)
    try openPipelines(record, maker, maker.make())
    openQuarantine = Set(try record.openQuarantine().map(\.file.path))
    if untold.isEmpty { try record.endAlarms(source: source) }
    // Not before: a record whose pipelines could not be set up is opened again.
    self.record = record
  }

  /// This daemon, in the table of alarms.
  private var source: String { ProcessInfo.processInfo.hostName + ":" + configuration.stateDirectory }

  func openPipelines(_ record: Record, _ maker: StageMaker, _ sets: [StageSet]) throws {
    if configuration.threads > 0 { OpenBLAS.useThreads(configuration.threads) }
    // Planes of sections, that is.
    clinux_return_blocks(1 << 20)
    KernelMemory.keep(within: configuration.memoryLimit - FGNetAffinityStage.reserve)
    let executor = makeExecutor { [inbox] in inbox.wake() }
    self.executor = executor
    pipelines = try zip(configuration.volumes, sets).map { volume, stages in
      if let note = maker.voxelNote(stages) { log.info("\(volume.name): \(note)") }
      let store = SectionStore(stateDirectory: configuration.stateDirectory, volume: volume.name)
      let timings = timings[volume.name] ?? StageTimings()
      self.timings[volume.name] = timings
      let pipeline = try VolumePipeline(
        configuration: volume, stages: adjust(stages), store: store, record: record, provenance: maker.provenance,
        executor: executor, timings: timings, log: log)
      pipeline.shortestPause = shortestPause
      // Decisions are made on this thread, which hears nothing else meanwhile.
      (pipeline.stages.agglomerate as? any SupervisedStage)?.whileWaiting { [inbox] in !inbox.stopped }
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
    for pipeline in pipelines { for stage in pipeline.stages.supervised { stage.cancel() } }
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
      notices += contents.notices
      reports = contents.reports
      noteIntake(contents.faults)
      var hasFailed = false
      do {
        progress = try turn()
        if progress != .waiting {
          pause.succeeded()
          for kind in ["database", "disk", "stage"] { note(kind, nil) }
        }
        tellAlarms()
        if progress == .idle, offers.isEmpty, try isDone() { return }
      } catch {
        progress = .idle
        hasFailed = true
        pause.failed()
        try survive(error)
        tellAlarms()
      }
      if watchdog.isToBeFed(executor?.signs ?? [:], isWaiting: progress == .waiting) { manager.notify("WATCHDOG=1") }
      // What failed is still to be done.
      writeStatus(isBusy: hasFailed || progress != .idle)
      onProgress?()
    }
  }

  /// One turn: takes in what is offered, then one step of work.
  private func turn() throws -> Progress {
    let record = try reopened()
    try takeNotices(record)
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
    guard progress == .idle else { return progress }
    for pipeline in pipelines { try pipeline.publishVolume() }
    for pipeline in pipelines where try pipeline.summariseContacts() { return .worked }
    return .idle
  }

  /// Records one file that was read; what is wrong with the file itself sets it aside.
  private func take(
    _ offer: OfferedFile, _ result: Result<SectionWork.TakenIn, any Error>, _ record: Record
  ) throws {
    guard let pipeline = pipelines.first(where: { $0.name == offer.volume }) else { return }
    do {
      try pipeline.receive(offer, result.get())
      // The first of a file's sections comes first; what is wrong with a later one must stand.
      if offer.plane == 0 { try resolve(offer.path, record) }
    } catch is SectionWork.SourceIsGone {
      log.warning("\(PercentEscape.line(offer.path)) was deleted before it was read")
    } catch let error as VolumeError where error.isAbout(offer.path) {
      switch error {
      case .changed where inbox.lookAgain(offer):
        log.info("\(PercentEscape.line(offer.path)) changed while it was read; it is looked at again")
      case .unreadable:
        try setAside(offer.refused(error.description), record)
        inbox.lookAgain(offer)
      default: try setAside(offer.refused(error.description), record)
      }
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
    case let error as DatabaseError where error.isTransient || error.isOfCluster || error.isOfSchema:
      // A statement that was refused leaves the connection, and with it the lock on the volume, as it was.
      if record?.connection.isUsable != true { record = nil }
      note("database", "\(error); trying again")
    case let error as VolumeError where error.isNoSpace:
      note("disk", "\(error); work goes on by itself")
    case let error as OperatorError where error.status == .unavailable:
      // After a lost connection the server may hold this daemon's own lock for a while.
      record = nil
      note("database", "\(error); trying again")
    case is OperatorError:
      throw error
    default:
      note("stage", "\(error)")
    }
  }

  /// Raises, changes or (with nil) clears the alarm of a kind; each change is one line in the log.
  func note(_ kind: String, _ text: String?) {
    let since = alarms.alarms.first { $0.kind == kind }?.since ?? Date()
    if let text {
      guard alarms.raise(kind, text) else { return }
      log.error("alarm \(kind): \(text)")
      untold.append(AlarmNote(kind: kind, text: text, raisedAt: since.timeIntervalSince1970))
    } else if let last = alarms.alarms.first(where: { $0.kind == kind })?.text, alarms.clear(kind) {
      log.notice("alarm \(kind) is over")
      untold.append(
        AlarmNote(
          kind: kind, text: last, raisedAt: since.timeIntervalSince1970, endedAt: Date().timeIntervalSince1970))
    }
    // Of a long time without a database the latest is worth telling.
    if untold.count > 100 { untold.removeFirst(untold.count - 100) }
  }

  /// Tells the database, and so whoever listens, of the alarms that were raised and ended. Its own faults show elsewhere.
  private func tellAlarms() {
    guard let record, record.connection.isConnected else { return }
    while let first = untold.first {
      do { try record.note(first, source: source) } catch {
        if !error.isTransient { untold.removeAll() }
        return
      }
      untold.removeFirst()
    }
  }

  private func writeStatus(isBusy: Bool) {
    let now = ProcessInfo.processInfo.systemUptime
    let isIdle = !isBusy && offers.isEmpty && notices.isEmpty
    guard isIdle != wasIdle || now - statusWritten > 0.5 else { return }
    statusWritten = now
    wasIdle = isIdle
    for pipeline in pipelines {
      pipeline.timings.noteWaiting(pipeline.received + offers.count(volume: pipeline.name))
    }
    if !pipelines.isEmpty { shownVolumes = pipelines.map { self.status($0) } }
    let pending = reports.values.reduce(0) { $0 + $1.pending }
    let status = DaemonStatus(
      startedAt: startedAt, isIdle: isIdle, waitingFiles: pending + offers.count, setAside: setAside,
      alarms: alarms.alarms, volumes: shownVolumes)
    do {
      try status.write(to: configuration.stateDirectory)
      statusFault = nil
    } catch {
      let fault = "status.json in \(configuration.stateDirectory) cannot be written: \(error)"
      if fault != statusFault { log.warning("\(fault)") }
      statusFault = fault
    }
    let done = status.volumes.reduce(0) { $0 + $1.final }
    let waiting = status.volumes.reduce(0) { $0 + $1.received + $1.provisional }
    let raised = alarms.alarms.map { "; ALARM \($0.kind): \($0.text)" }.joined()
    manager.notify(
      "STATUS=\(done) sections final, \(waiting) on the way, \(status.waitingFiles) files waiting\(raised)")
  }
}
