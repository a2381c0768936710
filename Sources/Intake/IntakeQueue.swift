public import Domain

/// What a look at a file's structure said.
public enum ProbeOutcome: Sendable, Equatable {
  /// With the number of sections in it.
  case complete(sections: Int = 1)
  case incomplete(reason: String)
  case unusable(reason: String)
}

/// A file that is whole and may be taken in.
public struct ReadyFile: Sendable, Equatable {
  public var path: String
  public var z: SectionNumber
  public var volume: String?
  /// The file's state when it was found whole.
  public var status: FileStatus
  /// Sections in it: `z`, `z + 1`, ...
  public var sections: Int
  public init(path: String, z: SectionNumber, volume: String?, status: FileStatus, sections: Int = 1) {
    self.path = path
    self.z = z
    self.volume = volume
    self.status = status
    self.sections = sections
  }
}

/// What is to be done with a file.
public enum IntakeAction: Sendable, Equatable {
  case ready(ReadyFile)
  /// To be set aside with a reason for the operator. The path of a file whose name is not UTF-8 has %XX in it.
  case quarantine(path: String, reason: String)
  /// Not a section; told once for each file.
  case ignored(path: String, reason: String)
}

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
  public private(set) var suspended: String?

  private struct Entry {
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
  }

  /// A file that was decided upon: taken or set aside.
  private struct Rested {
    var status: FileStatus
    var seen: Double
  }

  /// Paths compare by bytes: names that Swift holds equal can be two files.
  private typealias Key = [UInt8]

  private let pattern: FilePattern
  private let policy: IntakePolicy
  private var active: [Key: Entry] = [:]
  private var rested: [Key: Rested] = [:]
  /// Files named once as ignored or refused by name, with when they were last seen.
  private var named: [Key: Double] = [:]
  private var actions: [IntakeAction] = []
  private var scanWanted: Double?
  private var device: UInt64?

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
  public mutating func due(_ now: Double) -> [String] {
    guard suspended == nil else { return [] }
    let ready = active.filter { _, entry in
      if case .waiting(let until) = entry.state { until <= now } else { false }
    }
    for key in ready.keys { active[key]?.state = .probing }
    return ready.values.sorted { Self.precedes(($0.z, $0.path), ($1.z, $1.path)) }.map(\.path)
  }

  /// What is to be done: ready files by section number, then files to set aside, then ignored ones, by path.
  public mutating func take() -> [IntakeAction] {
    defer { actions = [] }
    return actions.sorted { a, b in
      switch (a, b) {
      case (.ready(let x), .ready(let y)): Self.precedes((x.z, x.path), (y.z, y.path))
      case (.ready, _): true
      case (_, .ready): false
      case (.quarantine(let x, _), .quarantine(let y, _)): x.utf8.lexicographicallyPrecedes(y.utf8)
      case (.quarantine, _): true
      case (_, .quarantine): false
      case (.ignored(let x, _), .ignored(let y, _)): x.utf8.lexicographicallyPrecedes(y.utf8)
      }
    }
  }

  // MARK: What the caller tells

  /// A file that was decided upon in an earlier run: it is offered again only when it has changed.
  public mutating func remember(_ status: FileStatus, now: Double) {
    rested[Key(status.path.utf8)] = Rested(status: status, seen: now)
  }

  /// An event of the watcher. Events of other folders are passed over.
  public mutating func observe(_ event: WatchEvent, now: Double) {
    switch event {
    case .ready, .overflow: scanWanted = now
    case .folder(let path): if relative(path) != nil { scanWanted = now }
    case .closed(let path), .moved(let path): written(path, now)
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
    switch result {
    case .vanished(let reason): suspended = reason
    case .listing(let listing):
      if let device, device != listing.device, listing.files.isEmpty, !(active.isEmpty && rested.isEmpty) {
        suspended = "\(folder) is on another device than before and empty: a disk seems not to be mounted"
        return
      }
      device = listing.device
      suspended = nil
      if let wanted = scanWanted, wanted < started { scanWanted = nil }
      for status in listing.files { listed(status, now) }
      for path in listing.unnameable { nameless(path, now) }
      if listing.faults.isEmpty { forget(seenBefore: started) }
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
      active[key] = nil
      rested[key] = nil
      return
    }
    entry.seen = now
    if rested[key]?.status == status { return rest(key, status, now) }
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
        let reason = "its last section would be \(Int(entry.z) + sections - 1), above \(pattern.range.upperBound)"
        actions.append(.quarantine(path: path, reason: reason))
      } else {
        actions.append(
          .ready(ReadyFile(path: path, z: entry.z, volume: entry.volume, status: status, sections: sections)))
      }
      rest(key, status, now)
    case .unusable(let reason):
      actions.append(.quarantine(path: path, reason: reason))
      rest(key, status, now)
    case .incomplete(let reason): wait(key, entry, reason, now)
    }
  }

  // MARK: Transitions

  private mutating func wait(_ key: Key, _ entry: Entry, _ reason: String, _ now: Double) {
    var entry = entry
    guard now - entry.changed < policy.deadline, let status = entry.status else {
      let text = "it stayed incomplete for \(Int(now - entry.changed)) seconds: \(reason)"
      actions.append(.quarantine(path: entry.path, reason: text))
      if let status = entry.status { rest(key, status, now) }
      return
    }
    entry.status = status
    entry.attempts += 1
    entry.state = .waiting(until: min(now + policy.pause(after: entry.attempts), entry.changed + policy.deadline))
    active[key] = entry
  }

  private mutating func rest(_ key: Key, _ status: FileStatus, _ now: Double) {
    active[key] = nil
    rested[key] = Rested(status: status, seen: now)
  }

  private mutating func written(_ path: String, _ now: Double) {
    let key = Key(path.utf8)
    if var entry = active[key] {
      entry.seen = now
      entry.changed = now
      entry.attempts = 0
      entry.status = nil
      if entry.state == .probing { entry.again = true } else { entry.state = .waiting(until: now) }
      active[key] = entry
      return
    }
    add(key, path, status: nil, until: now, now)
  }

  private mutating func listed(_ status: FileStatus, _ now: Double) {
    let key = Key(status.path.utf8)
    if var entry = active[key] {
      entry.seen = now
      if entry.state != .probing, let known = entry.status, known != status {
        entry.status = status
        entry.changed = now
        entry.attempts = 0
        entry.state = .waiting(until: now + policy.settle)
      }
      active[key] = entry
      return
    }
    if let known = rested[key] {
      rested[key]?.seen = now
      if known.status == status { return }
    }
    add(key, status.path, status: status, until: now + policy.settle, now)
  }

  private mutating func add(_ key: Key, _ path: String, status: FileStatus?, until: Double, _ now: Double) {
    guard let relative = relative(path), !policy.ignores(relative) else { return }
    switch pattern.match(relative) {
    case .section(let z, let volume):
      active[key] = Entry(
        path: path, z: z, volume: volume, state: .waiting(until: until), status: status, changed: now, seen: now)
    case .other:
      name(key, .ignored(path: path, reason: "its name does not match the pattern \(pattern.source)"), now)
    case .refused(let reason): name(key, .quarantine(path: path, reason: reason), now)
    }
  }

  /// Tells of a file once, however often it is seen.
  private mutating func name(_ key: Key, _ action: IntakeAction, _ now: Double) {
    if named.updateValue(now, forKey: key) == nil { actions.append(action) }
  }

  private mutating func nameless(_ path: String, _ now: Double) {
    guard let relative = relative(path), !policy.ignores(relative) else { return }
    name(
      Key(path.utf8), .quarantine(path: path, reason: "its name is not UTF-8; rename it"), now)
  }

  private mutating func deleted(_ path: String, _ now: Double) {
    let key = Key(path.utf8)
    let known = active.removeValue(forKey: key) != nil
    if rested.removeValue(forKey: key) != nil || known || named.removeValue(forKey: key) != nil { return }
    guard let relative = relative(path), !policy.ignores(relative) else { return }
    // Perhaps a folder with files in it.
    scanWanted = now
  }

  private mutating func forget(seenBefore time: Double) {
    active = active.filter { $0.value.seen >= time }
    rested = rested.filter { $0.value.seen >= time }
    named = named.filter { $0.value >= time }
  }

  /// The path below the watched folder, nil when it is not there.
  private func relative(_ path: String) -> String? {
    let prefix = folder + "/"
    guard path.utf8.starts(with: prefix.utf8) else { return nil }
    return String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  private static func precedes(_ a: (SectionNumber, String), _ b: (SectionNumber, String)) -> Bool {
    a.0 != b.0 ? a.0 < b.0 : a.1.utf8.lexicographicallyPrecedes(b.1.utf8)
  }
}
