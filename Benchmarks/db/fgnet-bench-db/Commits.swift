import DB
import Domain

/// New sections committed as the daemon does, in two histories by turns, so that both see the same machine.
struct Commits {
  /// One of the histories.
  struct Place {
    let record: Record
    var next: Int
    let run: Int64
    init(_ connection: Connection) throws {
      record = Record(connection)
      next = Int(try connection.execute("select max(z) + 1 from section").int(0, 0))
      run = try record.startRun(
        volume: 1, configuration: "{}", fingerprint: "f", modelHash: nil, codeVersion: "made up")
    }
  }

  let sections: NewSections

  /// Takes the next section in and commits it; only the commit is timed.
  func commit(_ place: inout Place, _ times: inout Times) throws {
    let commit = try receive(&place)
    _ = try times.measure { try place.record.commitFinal(volume: 1, run: place.run, [commit]) }
  }

  /// Writes the rows of the next section by COPY alone; only that is timed. The rows come from a commit that is undone.
  /// Segments that the section retires stay as they were, so the history is good for measuring only from then on.
  func copy(_ place: inout Place, _ times: inout Times) throws {
    let commit = try receive(&place)
    let connection = place.record.connection
    try undone(commit, place.record, place.run)
    try connection.script("set session_replication_role to replica")
    try times.measure { try connection.script(Statements.text(PackageResources.copy_in_sql)) }
    try connection.script("reset session_replication_role")
    try connection.execute(
      "update section set state = 'final', file = 'f', signature = 's' where z = $1", [.int(commit.z)])
  }

  /// Commits, copies the rows into files, and takes the commit back.
  private func undone(_ commit: SectionCommit, _ record: Record, _ run: Int64) throws {
    let done = "undone"
    do {
      try record.connection.transaction { () throws(DatabaseError) -> Void in
        try record.commitFinal(volume: 1, run: run, [commit])
        try record.connection.script(Statements.text(PackageResources.copy_out_sql))
        throw DatabaseError.conflict(done)
      }
    } catch {
      guard case .conflict(done) = error else { throw error }
    }
  }

  private func receive(_ place: inout Place) throws -> SectionCommit {
    let commit = sections.commit(place.next)
    let digits = String(place.next + 1, radix: 16)
    let outcome = try place.record.receive(
      volume: 1, z: commit.z, sha256: String(repeating: "f", count: 64 - digits.count) + digits,
      path: "new/\(place.next).tif", size: 1, mtimeNs: 1, height: sections.patterns[0].height,
      width: sections.patterns[0].width, bitDepth: 8, meanIntensity: 0.5, run: place.run)
    guard case .new = outcome else { throw DatabaseError.conflict("section \(commit.z) is there already") }
    place.next += 1
    return commit
  }
}
