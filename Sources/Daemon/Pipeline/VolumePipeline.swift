import DB
import Domain
import Foundation
import Logging
import Plugins
import Volumes
import Web

/// One volume's way from a complete file to committed rows: decides what is to be done next, hands out what others can do, and
/// writes the rows. Used from one thread.
///
/// Durable state is the source images and products in the store (files, content-addressed) and the rows in the database; what is
/// held here can be lost at any moment. Every step may be repeated: it writes the same file, or the same rows.
final class VolumePipeline {
  let configuration: DaemonConfiguration.Volume
  let volume: VolumeRow
  let stages: StageSet
  let store: SectionStore
  let record: Record
  let log: Logger
  let executor: any Executor
  let timings: StageTimings
  let work: SectionWork
  let runID: Int64
  var plan: VolumePlan
  var rows: [SectionNumber: SectionRow] = [:]
  /// What is kept of products, as many as a decision looks at.
  var made: ProductCache<SectionWork.Made>
  var products: ProductIndex
  /// How many sections of the last size may be under way.
  var underWayBySize: (size: PlaneWindow, count: Int)?
  /// Products under way, in the order they were wanted.
  var making: [Making] = []
  /// Sections whose label tiles an earlier version did not write to the database, highest first.
  var unfilled: [UnfilledSection] = []
  /// The last operation when no block of sections waited for its contacts to be summed up.
  var summarisedAt: Int64?
  /// Sections whose products are gone from the store though rows rest on them.
  var lost: Set<SectionNumber> = []
  /// Products that were found damaged and removed since the start.
  var mended: Set<String> = []
  private var missingCount = 0
  /// Sections that are left out, by a stage that failed on them or by an operator.
  var setAside: Set<SectionNumber> = []
  /// Sections that a stage failed on lately.
  var troubles: [SectionNumber: Trouble] = [:]
  /// Seconds before a section is tried again; doubled for the time after.
  var shortestPause = 1.0
  private var wroteVolumeAt: Int64?
  /// Since when a hole is open, by monotonic seconds, by its first section.
  private var openSince: [SectionNumber: Double] = [:]
  /// Called with each section whose rows have become final.
  var onFinal: ((SectionNumber) throws -> Void)?

  init(
    configuration: DaemonConfiguration.Volume, stages: StageSet, store: SectionStore, record: Record,
    provenance: Provenance, executor: any Executor, timings: StageTimings, log: Logger
  ) throws {
    self.configuration = configuration
    self.stages = stages
    self.store = store
    self.record = record
    self.executor = executor
    self.timings = timings
    self.log = log
    work = SectionWork(
      volume: configuration.name, options: configuration.images, stages: stages, store: store, timings: timings,
      executor: executor, log: log)
    let size = configuration.voxelSize
    volume = try record.openVolume(name: configuration.name, voxelSize: VoxelSize(z: size.z, y: size.y, x: size.x))
    guard try record.lockVolume(volume.id) else {
      throw OperatorError(
        "volume \(configuration.name) is in use by another fgnetd on this database; stop it, or give this one another volume",
        status: .unavailable)
    }
    runID = try record.startRun(
      volume: volume.id, configuration: provenance.configuration, fingerprint: stages.fingerprint,
      modelHash: provenance.modelHash, codeVersion: provenance.codeVersion)
    plan = VolumePlan(reach: stages.reach)
    made = ProductCache(
      capacity: stages.reach.behind + stages.reach.ahead + 2 + Self.mostUnderWay, limit: stages.memoryLimit / 32
    ) { $0.bytes }
    try store.prepare()
    try store.removeTemporaries()
    if stages.scratchBytes > 0 {
      try stages.affinity?.useScratch(directory: store.directory, bytes: stages.scratchBytes)
    }
    products = ProductIndex(try store.names(withPrefix: "z"))
    try load()
  }

  private func load() throws {
    let again = try record.retry(volume: volume.id, otherThan: stages.fingerprint, run: runID)
    if !again.isEmpty { log.notice("\(name): \(again.count) sections that other stages failed on are taken up again") }
    let all = try record.sections(volume.id)
    for row in all {
      rows[row.z] = row
      switch row.state {
      case .missing: plan.declareMissing(row.z)
      case .setAside: plan.setAside(row.z)
      default: plan.insert(row.z, source: row.sha256 ?? "")
      }
    }
    plan.finish(at: volume.lastZ)
    for row in all where row.state == .final { plan.noteCommitted(row.z, content: row.signature ?? "") }
    missingCount = all.count { $0.state == .missing }
    setAside = Set(all.filter { $0.state == .setAside }.map(\.z))
    unfilled = try record.unfilledSections(volume.id).reversed()
    if !unfilled.isEmpty {
      log.info("\(name): the label tiles of \(unfilled.count) sections are yet to be written to the database")
    }
    compare(all)
  }

  /// Takes over what an operator changed in the database: missing sections, sections to try again, the volume's end.
  func refresh() throws {
    let now = try record.operatorChanges(volume: volume.id)
    if now.lastZ != plan.lastZ { plan.finish(at: now.lastZ) }
    if now.setAside != setAside { try followSetAside() }
    guard now.missing != missingCount else { return }
    for row in try record.sections(volume.id) where row.state == .missing && rows[row.z]?.state != .missing {
      rows[row.z] = row
      plan.declareMissing(row.z)
    }
    missingCount = now.missing
  }

  var name: String { configuration.name }

  // MARK: Intake

  /// Records a file whose pixels are in the store. Repeating it changes nothing.
  func receive(_ file: OfferedFile, _ taken: SectionWork.TakenIn) throws {
    if let last = plan.lastZ, file.z > last {
      log.notice("\(name) goes on above z \(last), which was said to be the last")
      try record.setFinished(volume: volume.id, lastZ: nil, run: runID)
      plan.finish(at: nil)
    }
    let warning = taken.pixelSize.flatMap {
      PixelSizeCheck.warning($0, configuration.voxelSize, isStack: file.planes > 1)
    }
    let outcome = try timings.measure(.database) {
      try record.receive(
        volume: volume.id, z: file.z, sha256: taken.sha256, path: file.path, size: file.size, mtimeNs: file.mtimeNs,
        height: taken.height, width: taken.width, bitDepth: taken.bitDepth, meanIntensity: taken.mean,
        stdIntensity: taken.deviation, quality: taken.quality,
        facts: FileFacts(
          plane: file.plane, planes: file.planes, pixelSize: taken.pixelSize.map { ($0.y, $0.x) }, warning: warning),
        run: runID)
    }
    switch outcome {
    case .wrongSize(let height, let width):
      try store.remove(imageName(file.z, taken.sha256))
      throw VolumeError.unsupported(
        path: file.path,
        reason: "it has \(taken.height) x \(taken.width) pixels, the sections of volume \(name) have "
          + "\(height) x \(width)")
    case .duplicate:
      log.info("\(name) z \(file.z): the same bytes again, nothing to do (\(file.path))")
      return
    case .new(_, let twin):
      log.info("\(name) z \(file.z): received \(file.path)")
      if let twin { log.warning("\(name) z \(file.z) has the same bytes as z \(twin)") }
    case .revision(_, let revision):
      log.warning("\(name) z \(file.z): received again with other content, revision \(revision) (\(file.path))")
    case .filledGap:
      missingCount -= 1
      log.info("\(name) z \(file.z): received after it was declared missing (\(file.path))")
    }
    if let warning { log.warning("\(name) z \(file.z): \(warning)") }
    setAside.remove(file.z)
    troubles[file.z] = nil
    try reloadRow(file.z)
    plan.insert(file.z, source: taken.sha256)
  }

  func declareMissing(_ z: SectionNumber) throws {
    try record.declareMissing(volume: volume.id, z: z, run: runID)
    try reloadRow(z)
    plan.declareMissing(z)
    missingCount += 1
    log.warning("\(name) z \(z): declared missing, neighbours are linked across")
  }

  /// Nothing comes above the last present section: the tail becomes final.
  func finish(at z: SectionNumber?) throws {
    guard let last = z ?? SectionRow.top(of: rows.values), last != plan.lastZ else { return }
    try record.setFinished(volume: volume.id, lastZ: last, run: runID)
    plan.finish(at: last)
  }

  /// Declares holes that have been open for longer than the configuration allows. A restart does not begin anew: a hole is as old as the
  /// younger of its neighbours.
  func declareOverdue(now: Double) throws {
    guard let limit = configuration.missingAfter else { return }
    let holes = plan.holes().filter { $0.sections.count <= VolumePlan.largestHole }
    let known = openSince
    openSince = [:]
    for hole in holes {
      let first = hole.sections.lowerBound
      let since = try known[first] ?? now - record.secondsSinceReceived(volume: volume.id, hole.below, hole.above)
      openSince[first] = since
      if now - since >= limit { for z in hole.sections { try declareMissing(z) } }
    }
  }

  /// Declares every section missing that is waited for.
  /// - Throws: a sentence if a hole is so large that a number is more likely wrong.
  func declareAllMissing() throws {
    let holes = plan.holes()
    if let hole = holes.first(where: { $0.sections.count > VolumePlan.largestHole }) {
      throw OperatorError("\(name): \(Self.sentence(hole))", status: .badData)
    }
    for z in holes.flatMap(\.sections) { try declareMissing(z) }
  }

  /// What is the matter with a hole that is too large to be believed.
  static func sentence(_ hole: VolumePlan.Hole) -> String {
    "\(hole.sections.count) sections are missing between z \(hole.below) and z \(hole.above): if one of the two numbers is wrong, "
      + "`fgnetd set-aside` it; else `fgnetd declare-missing \(hole.sections.lowerBound) --to \(hole.sections.upperBound)`"
  }

  // MARK: Work

  /// Does the next piece of work: takes in what was done elsewhere, hands out what can be done next, commits what is ready.
  /// - Parameter showsTail: sections that are not final yet are shown provisionally when nothing else is to do.
  /// - Throws: the first failure of a stage, the store or the database; the next step tries again.
  func step(showsTail: Bool) throws -> Progress {
    do { return try advance(showsTail: showsTail) } catch let error where isMended(error) { return .worked }
  }

  private func advance(showsTail: Bool) throws -> Progress {
    let hasCollected = try collect()
    let group = plan.nextCommit()
    var isReady = !group.isEmpty
    for place in group {
      for other in plan.window(place, below: stages.reach.behind, above: stages.reach.ahead) {
        if try !want(wantedProduct(other)) { isReady = false }
      }
    }
    // Sections that go one after the other are committed before the next is begun.
    let isAlone = goesOneByOne
    for z in plan.unsettled {
      guard hasRoom, !(isAlone && isReady) else { break }
      guard let place = plan.place(of: z), plan.isGraphFinal(place) else { continue }
      _ = try want(wantedProduct(place))
    }
    if !(isAlone && isReady) { try wantLost() }
    if isReady, !isAlone || making.isEmpty {
      try commit(group)
      return .worked
    }
    if hasCollected { return .worked }
    if !making.isEmpty { return .waiting }
    let shown = group.isEmpty && showsTail ? try showNextProvisional() : .idle
    let progress = shown == .idle && group.isEmpty ? try fillNext() : shown
    return progress == .idle && hasPauses ? .waiting : progress
  }

  /// Whether all present sections have final rows.
  var isSettled: Bool { plan.unsettled.isEmpty }

  // MARK: The whole

  /// Writes `volume.h5`, the stack as one array over the section files, if anything was committed since. Called when
  /// nothing else is to do: its time grows with the stack.
  func publishVolume() throws {
    let operation = try record.lastOperation(volume: volume.id)
    guard let operation, operation != wroteVolumeAt else { return }
    let shown = rows.values.filter { $0.state == .final || $0.state == .provisional }.sorted { $0.z < $1.z }
    guard let first = shown.first, let height = first.height, let width = first.width else { return }
    var fragments: [(z: SectionNumber, file: String)] = []
    for row in shown { if let file = row.file, !file.isEmpty { fragments.append((row.z, file)) } }
    if !fragments.isEmpty {
      try VirtualVolume.write(
        store.path("volume.h5"), entries: fragments, height: height, width: width,
        datasets: stages.watershed == nil ? ["affinities"] : ["fragments", "affinities"])
    }
    try VirtualVolume.write(
      store.path("images.h5"), entries: shown.map { ($0.z, imageName($0.z, $0.sha256 ?? "")) }, height: height,
      width: width, datasets: ["image"])
    wroteVolumeAt = operation
  }

  /// Sections that have no results yet.
  var received: Int { count(.received) }

  private func count(_ state: SectionState) -> Int { rows.values.count { $0.state == state } }

  var status: DaemonStatus.Volume {
    let holes = plan.holes()
    var status = DaemonStatus.Volume(name: name, folder: configuration.folder, activity: timings.activity)
    status.received = received
    status.provisional = count(.provisional)
    status.final = count(.final)
    status.missing = count(.missing)
    status.sectionsSetAside = setAside.count
    status.awaited = holes.prefix(100).map { [$0.sections.lowerBound, $0.sections.upperBound] }
    status.awaitedCount = holes.reduce(0) { $0 + $1.sections.count }
    status.doubt = holes.first { $0.sections.count > VolumePlan.largestHole }.map(Self.sentence)
    status.atWork = making.map(\.order.z)
    status.finishedAt = plan.lastZ
    status.secondsByStage = timings.seconds
    return status
  }

  func reloadRow(_ z: SectionNumber) throws {
    rows[z] = try record.section(volume.id, z: z)
  }
}
