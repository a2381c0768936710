import Domain

/// Decides when a file of one watched folder is looked at and when it is taken in. A pure state machine: it reads no
/// clock and no disk, so the same calls give the same answers. `now` is monotonic seconds, never going back.
///
/// The caller's loop: feed events (`observe`) and listings (`scan`); probe what `due` names, note the file's status
/// *after* the probe, report it (`probed`); do what `take` says. Scan at start, when `wantsScan`, and every few
/// seconds.
public struct IntakeQueue {
  /// The watched folder.
  public let folder: String
  /// Why nothing is looked at for now: the folder is gone. nil in normal times.
  public internal(set) var suspended: String?
  /// What the last listing could not look at.
  public private(set) var faults: [ScanFault] = []

  /// A file to be looked at.
  struct Entry {
    enum State: Equatable {
      /// To be looked at at this time.
      case waiting(until: Double)
      case probing
    }
    var path: String
    var z: SectionNumber
    var volume: String?
    var state: State
    /// Status of the last look; nil when only an event is known.
    var status: FileStatus?
    /// When the file was last seen to change.
    var changed: Double
    /// When an event or a listing last showed it.
    var seen: Double
    var attempts = 0
    /// An event came during the look, whose outcome may be of an older state.
    var again = false
    /// Why it was said to be unreadable.
    var told: String?

    func isDue(_ now: Double) -> Bool { if case .waiting(let until) = state { until <= now } else { false } }
  }

  /// A file that was decided upon: taken or set aside.
  struct Rested {
    var status: FileStatus
    var seen: Double
  }

  /// Paths compare by bytes: names that Swift holds equal can be two files.
  typealias Key = [UInt8]

  /// So many files do not go at once by themselves: a listing that shows none of them is not believed.
  static let fewestForAFault = 10

  let pattern: FilePattern
  let policy: IntakePolicy
  var active: [Key: Entry] = [:]
  var rested: [Key: Rested] = [:]
  /// Files named once as ignored or refused by name, or set aside in an earlier run, with when they were last seen.
  var named: [Key: Double] = [:]
  var actions: [IntakeAction] = []
  var scanWanted: Double?
  /// Files that were due when `due` last looked and were not named yet, in order.
  private var dueKeys: ArraySlice<Key> = []
  private var identity: FolderListing.Identity?
  /// Whether any file was seen yet.
  var hasSeenFiles = false

  public init(folder: String, pattern: FilePattern, policy: IntakePolicy = IntakePolicy()) {
    self.folder = FolderScanner.withoutTrailingSlashes(folder)
    self.pattern = pattern
    self.policy = policy
  }

  // MARK: What the caller asks

  /// Whether events may have been missed.
  public var wantsScan: Bool { scanWanted != nil }

  /// When `due` will next have something, if no event comes.
  public var nextDue: Double? {
    guard suspended == nil else { return nil }
    return active.values.compactMap { entry in
      if case .waiting(let until) = entry.state { until } else { nil }
    }.min()
  }

  /// Files known and not yet decided upon.
  public var pendingCount: Int { active.count }

  /// The files to probe now, by section number, then path. Each is named once; `probed` must follow.
  /// - Parameter limit: the most to name; the rest is named by the next calls, before files that have become due since.
  public mutating func due(_ now: Double, limit: Int = .max) -> [String] {
    guard suspended == nil else { return [] }
    if dueKeys.isEmpty {
      var due: [(z: SectionNumber, key: Key)] = []
      for (key, entry) in active where entry.isDue(now) { due.append((entry.z, key)) }
      due.sort { $0.z != $1.z ? $0.z < $1.z : $0.key.lexicographicallyPrecedes($1.key) }
      dueKeys = due.map(\.key)[...]
    }
    var paths: [String] = []
    while paths.count < limit, let key = dueKeys.popFirst() {
      guard let entry = active[key], entry.isDue(now) else { continue }
      active[key]?.state = .probing
      paths.append(entry.path)
    }
    return paths
  }

  /// What is to be done: ready files by section number, then files to set aside, then ignored ones, then those that are gone, by
  /// path.
  public mutating func take() -> [IntakeAction] {
    defer { actions = [] }
    return actions.sorted(by: IntakeAction.precedes)
  }

  // MARK: What the caller tells

  /// A file that was decided upon in an earlier run: it is offered again only when its size or time has changed.
  public mutating func remember(path: String, size: Int64, modified: Int64) {
    let status = FileStatus(path: path, size: size, modified: modified, inode: 0, device: 0)
    rested[Key(path.utf8)] = Rested(status: status, seen: -.infinity)
  }

  /// A file that was set aside in an earlier run. It is looked at anew; if it is not there any more, that is told.
  public mutating func rememberSetAside(path: String) { asideBefore[Key(path.utf8)] = -.infinity }
  var asideBefore: [Key: Double] = [:]

  /// A file that was offered could not be read: it is offered again after a pause.
  public mutating func lookAgain(_ path: String, now: Double) {
    let key = Key(path.utf8)
    guard active[key] == nil, rested.removeValue(forKey: key) != nil else { return }
    add(key, path, status: nil, until: now + policy.longestPause, now)
  }

  /// An event of the watcher. Events of other folders are passed over.
  public mutating func observe(_ event: WatchEvent, now: Double) {
    switch event {
    case .ready, .overflow: scanWanted = now
    case .folder(let path): if relative(path) != nil { scanWanted = now }
    case .closed(let path), .moved(let path):
      written(path, now)
      // The folder may be back.
      if suspended != nil { scanWanted = now }
    case .deleted(let path): deleted(path, now)
    case .unnameable(let path): nameless(path, now)
    case .folderGone(let path):
      guard path.utf8.elementsEqual(folder.utf8) else { return }
      suspended = "\(folder) was deleted, renamed or unmounted"
      scanWanted = now
    case .limit, .fault: break
    }
  }

  /// The outcome of a scan that began at `started`. Files it does not show are forgotten, unless they were seen since.
  public mutating func scan(_ result: ScanResult, started: Double, now: Double) {
    if let wanted = scanWanted, wanted < started { scanWanted = nil }
    switch result {
    case .vanished(let reason): suspended = reason
    case .listing(let listing):
      if let reason = disbelief(listing, started) {
        suspended = reason
        return
      }
      if let identity, identity.device != listing.identity.device { forgetDevices() }
      identity = listing.identity
      suspended = nil
      faults = listing.faults
      for status in listing.files { listed(status, now) }
      for path in listing.unnameable { nameless(path, now) }
      // An empty folder at the start may be a mount point without its mount.
      if hasSeenFiles || !listing.isEmpty { forget(seenBefore: started, besides: listing.faults) }
      hasSeenFiles = hasSeenFiles || !listing.isEmpty
    }
  }

  /// Why an empty listing is not taken for the deletion of everything; nil if there is no reason.
  private func disbelief(_ listing: FolderListing, _ started: Double) -> String? {
    guard listing.isEmpty else { return nil }
    func isGone(_ seen: Double) -> Bool { seen > -.infinity && seen < started }
    let known = active.values.count { isGone($0.seen) } + rested.values.count { isGone($0.seen) }
    if known > 0, let identity, identity != listing.identity {
      return "\(folder) is another folder than before, and empty: a disk seems not to be mounted"
    }
    guard known >= Self.fewestForAFault else { return nil }
    return "all \(known) files of \(folder) are gone at once; if a disk or server failed, mend it; if they were moved "
      + "away on purpose, nothing is to be done: it is over with the next file"
  }

  /// Device and inode numbers mean nothing after another mount: sizes and times tell whether files are those of before.
  private mutating func forgetDevices() {
    for key in rested.keys {
      rested[key]?.status.inode = 0
      rested[key]?.status.device = 0
    }
  }

  /// The outcome of a probe of a file that `due` named, and the file's status after it; nil when it is gone.
  public mutating func probed(_ path: String, _ outcome: ProbeOutcome, status: FileStatus?, now: Double) {
    let key = Key(path.utf8)
    guard var entry = active[key], entry.state == .probing else { return }
    if entry.again {
      entry.again = false
      entry.state = .waiting(until: now)
      active[key] = entry
      return
    }
    guard let status else {
      vanish(key)
      return
    }
    entry.seen = now
    if let known = rested[key]?.status, known.isSame(as: status) { return rest(key, status, now) }
    if let known = entry.status, known != status {
      // It changes while it is looked at.
      entry.status = status
      entry.changed = now
      entry.attempts = 0
      entry.state = .waiting(until: now + policy.settle)
      active[key] = entry
      return
    }
    entry.status = status
    switch outcome {
    case .complete(let sections):
      if Int(entry.z) + sections - 1 > Int(pattern.range.upperBound) {
        setAside(
          path, "its last section would be \(Int(entry.z) + sections - 1), above \(pattern.range.upperBound)")
      } else {
        actions.append(
          .ready(ReadyFile(path: path, z: entry.z, volume: entry.volume, status: status, sections: sections)))
      }
      rest(key, status, now)
    case .unusable(let reason):
      setAside(path, reason)
      rest(key, status, now)
    case .incomplete(let reason): wait(key, entry, reason, now)
    case .unreadable(let reason): waitForPermission(key, entry, reason, now)
    }
  }
}
