/// What happens to a single file.
extension IntakeQueue {
  mutating func wait(_ key: Key, _ entry: Entry, _ reason: String, _ now: Double) {
    var entry = entry
    guard now - entry.changed < policy.deadline, let status = entry.status else {
      setAside(entry.path, "it stayed incomplete for \(Int(now - entry.changed)) seconds: \(reason)")
      if let status = entry.status { rest(key, status, now) }
      return
    }
    entry.status = status
    entry.attempts += 1
    entry.state = .waiting(until: min(now + policy.pause(after: entry.attempts), entry.changed + policy.deadline))
    active[key] = entry
  }

  /// A file that cannot be read is tried for ever: what hinders is outside of it, and its end does not show in the file.
  mutating func waitForPermission(_ key: Key, _ entry: Entry, _ reason: String, _ now: Double) {
    var entry = entry
    entry.attempts += 1
    entry.changed = now
    // Perhaps it is not the file but the whole folder.
    if entry.attempts == 1 { scanWanted = now }
    if entry.attempts >= 3, entry.told != reason {
      setAside(entry.path, "\(reason); it is tried again until it can be read")
      entry.told = reason
    }
    entry.state = .waiting(until: now + policy.pause(after: entry.attempts))
    active[key] = entry
  }

  mutating func setAside(_ path: String, _ reason: String) {
    actions.removeAll { $0 == .gone(path: path) }
    actions.append(.quarantine(path: path, reason: reason))
  }

  mutating func rest(_ key: Key, _ status: FileStatus, _ now: Double) {
    active[key] = nil
    rested[key] = Rested(status: status, seen: now)
  }

  /// The file is not there any more. Returns whether it was known.
  @discardableResult
  mutating func vanish(_ key: Key) -> Bool {
    let path = active.removeValue(forKey: key)?.path
    let wasRested = rested.removeValue(forKey: key) != nil
    let wasNamed = named.removeValue(forKey: key) != nil
    let wasAside = asideBefore.removeValue(forKey: key) != nil
    guard path != nil || wasRested || wasNamed || wasAside else { return false }
    actions.append(.gone(path: path ?? String(decoding: key, as: UTF8.self)))
    return true
  }

  mutating func written(_ path: String, _ now: Double) {
    hasSeenFiles = true
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

  mutating func listed(_ status: FileStatus, _ now: Double) {
    let key = Key(status.path.utf8)
    if asideBefore[key] != nil { asideBefore[key] = now }
    if named[key] != nil {
      named[key] = now
      return
    }
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
      let isSame = known.status.isSame(as: status)
      rested[key] = Rested(status: isSame ? status : known.status, seen: now)
      if isSame { return }
    }
    add(key, status.path, status: status, until: now + policy.settle, now)
  }

  mutating func add(_ key: Key, _ path: String, status: FileStatus?, until: Double, _ now: Double) {
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

  mutating func nameless(_ path: String, _ now: Double) {
    guard let relative = relative(path), !policy.ignores(relative) else { return }
    let key = Key(path.utf8)
    if asideBefore[key] != nil { asideBefore[key] = now }
    name(key, .quarantine(path: path, reason: "its name is not UTF-8; rename it"), now)
  }

  mutating func deleted(_ path: String, _ now: Double) {
    guard !vanish(Key(path.utf8)), let relative = relative(path), !policy.ignores(relative) else { return }
    // Perhaps a folder with files in it.
    scanWanted = now
  }

  mutating func forget(seenBefore time: Double, besides faults: [ScanFault]) {
    var seen: [Key: Double] = named.merging(asideBefore, uniquingKeysWith: max)
    for (key, file) in rested { seen[key] = max(seen[key] ?? file.seen, file.seen) }
    for (key, file) in active { seen[key] = max(seen[key] ?? file.seen, file.seen) }
    let hidden = faults.map { Key($0.path.utf8) }
    for (key, last) in seen where last < time && !hidden.contains(where: { Self.isBelow(key, $0) }) { vanish(key) }
  }

  private static func isBelow(_ key: Key, _ place: Key) -> Bool {
    key.starts(with: place) && (key.count == place.count || key[place.count] == UInt8(ascii: "/"))
  }

  /// The path below the watched folder, nil when it is not there.
  func relative(_ path: String) -> String? {
    let prefix = folder + "/"
    guard path.utf8.starts(with: prefix.utf8) else { return nil }
    return String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }
}
