public import Domain

/// A section that a stage failed on.
public struct SetAsideRow: Sendable, Equatable {
  public var z: SectionNumber
  /// A sentence.
  public var reason: String
}

/// Sections that are left out: a stage cannot do its work on them, or an operator does not want them.
extension Record {
  /// Fingerprint of the run that an operator's command is.
  static let operatorFingerprint = "operator"

  /// Sets a section aside for an operator. A daemon at work on the volume follows within a second.
  /// - Parameter reason: a sentence.
  /// - Throws: `.conflict` if the section is not there.
  public func setAside(
    volume: Int64, z: SectionNumber, reason: String, codeVersion: String
  ) throws(DatabaseError) {
    try connection.transaction { () throws(DatabaseError) in
      guard let row = try section(volume, z: z), row.sha256 != nil, row.state != .setAside else {
        throw .conflict("section \(z) is not there to be set aside")
      }
      let run = try startRun(
        volume: volume, configuration: "{}", fingerprint: Self.operatorFingerprint, modelHash: nil,
        codeVersion: codeVersion)
      try setAside(volume: volume, z: z, sectionID: row.id, reason: reason, run: run)
    }
  }

  /// Sets a section aside, with the reason in a sentence. Rows of fragments that it has are taken back, as in a revision.
  /// - Parameter sectionID: the row that the stage failed on.
  /// - Throws: `.conflict` if that row is not current any more.
  public func setAside(
    volume: Int64, z: SectionNumber, sectionID: Int64, reason: String, run: Int64
  ) throws(DatabaseError) {
    // Without fragments: what the section had is removed, and segments follow.
    let nothing = SectionCommit(z: z, file: "", signature: "", fragments: [], edges: [], sectionID: sectionID)
    try connection.transaction { () throws(DatabaseError) in
      _ = try FinalCommit(record: self, volume: volume, run: run, commits: [nothing], kind: "set_aside").perform()
      try connection.execute(
        """
        update section set state = 'set_aside', set_aside_reason = $3, set_aside_at = now(), file = null,
          signature = null, segmented_at = null
        where volume_id = $1 and section_id = $2
        """, [.int(volume), .int(sectionID), .text(reason)])
    }
  }

  /// Takes sections up again that were set aside.
  /// - Parameters:
  ///   - z: the section; nil: all.
  ///   - fingerprint: only those that stages of another fingerprint failed on; what an operator set aside stays so.
  /// - Returns: their numbers, ascending.
  @discardableResult
  public func retry(
    volume: Int64, z: SectionNumber? = nil, otherThan fingerprint: String? = nil, run: Int64?
  ) throws(DatabaseError) -> [SectionNumber] {
    try connection.transaction { () throws(DatabaseError) in
      let changed = try connection.execute(
        """
        with taken as (
          update section s set state = 'received' from run r
          where s.volume_id = $1 and s.state = 'set_aside' and r.run_id = s.run_id
            and ($2::integer is null or s.z = $2) and ($3::text is null or r.fingerprint not in ($3, $4))
          returning s.z
        )
        select z from taken order by z
        """,
        [
          .int(volume), .int(optional: z.map { Int64($0) }), .text(optional: fingerprint),
          .text(Self.operatorFingerprint),
        ])
      var taken: [SectionNumber] = []
      for row in 0..<changed.count { taken.append(SectionNumber(try changed.int(row, 0))) }
      for z in taken { _ = try begin("retry", volume: volume, firstZ: z, z: z, run: run) }
      return taken
    }
  }

  /// Sections that are set aside, in z order.
  public func setAside(_ volume: Int64) throws(DatabaseError) -> [SetAsideRow] {
    let result = try connection.execute(
      "select z, set_aside_reason from section where volume_id = $1 and state = 'set_aside' order by z", [.int(volume)])
    var rows: [SetAsideRow] = []
    for row in 0..<result.count {
      rows.append(SetAsideRow(z: SectionNumber(try result.int(row, 0)), reason: try result.text(row, 1)))
    }
    return rows
  }
}
