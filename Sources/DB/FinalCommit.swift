import Domain

/// One final commit, inside its transaction. See `Record.commitFinal`.
struct FinalCommit {
  let record: Record
  let volume: Int64
  let run: Int64
  /// In z order.
  let commits: [SectionCommit]
  /// What the operation is called; nil: by what it does.
  var kind: String?

  var connection: Connection { record.connection }
  var sections: Parameter { .ints(commits.map { Int64($0.z) }) }

  /// What the sections were before.
  struct Before {
    /// Final fragments of the sections, by id, with their live segments.
    var existing: [SegmentDiff.Member] = []
    /// Those that the commit does not have.
    var removed: [SegmentDiff.Member] = []
    /// Accepted edges that were deleted and are not in the commit.
    var lostEdges: [SegmentDiff.Edge] = []
    /// Provisional fragments of the sections that are of provisional segments.
    var provisional: [SegmentDiff.Member] = []
  }

  func perform() throws(DatabaseError) -> CommitOutcome {
    for (lower, upper) in zip(commits, commits.dropFirst()) where lower.z == upper.z {
      throw .conflict("section \(lower.z) is given twice in one commit")
    }
    try record.claim(volume)
    for commit in commits { try record.mark(commit, .final, volume: volume, run: run) }
    var before = Before()
    before.provisional = try takeProvisional()
    before.existing = try existingFragments()
    let isRevision = !before.existing.isEmpty
    let operation = try record.begin(
      kind ?? (isRevision ? "revision" : "section_final"), volume: volume, firstZ: commits[0].z,
      z: commits[commits.count - 1].z, run: run)
    if isRevision { try takeReplaced(&before, operation) }
    var corrections = try CommitCorrections(record, volume: volume, operation: operation, commits: commits)
    try corrections?.carry(before.removed)
    try corrections?.loadPairs()
    var input = SegmentDiff.Input(z: commits[0].z)
    let stored = try gather(&input, before, corrections)
    try corrections?.enforce(&input, stored: stored)
    let diff = SegmentDiff(input)
    try apply(diff, input, before, operation)
    try forgetContacts(isRevision: isRevision)
    try corrections?.finish(diff, input)
    try record.noteSegmentations(commits, .final, volume: volume, run: run, operation: operation)
    let settled = try settle(before.provisional, diff, input, operation)
    let events = diff.events + settled
    try record.copyEvents(events, volume: volume, operation: operation)
    return CommitOutcome(operation: operation, isRevision: isRevision, events: events)
  }
}
