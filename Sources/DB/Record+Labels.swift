public import Domain

/// A section whose label tiles are not in the database: it was segmented before they were kept there.
public struct UnfilledSection: Sendable, Equatable {
  public var z: SectionNumber
  /// Operation that wrote its rows.
  public var operation: Int64
  /// HDF5 file that belongs to them.
  public var file: String
}

extension Record {
  /// Whether the database holds the label tiles of these final fragments, so that a commit need not bring them again.
  /// - Parameter fragment: any of the section's.
  public func hasLabels(volume: Int64, of fragment: FragmentID) throws(DatabaseError) -> Bool {
    try connection.execute(
      """
      select exists (select from section_segmentation where volume_id = $1 and z = $2 and fragment_base = $3
        and labels_operation_id is not null and state = 'final')
      """, [.int(volume), .int(fragment.z), .int(fragment.base)]
    ).bool(0, 0)
  }

  /// Sections that are shown without label tiles, lowest first.
  public func unfilledSections(_ volume: Int64) throws(DatabaseError) -> [UnfilledSection] {
    let result = try connection.execute(
      """
      select s.z, s.operation_id, s.file from section_segmentation s
      where s.volume_id = $1 and s.labels_operation_id is null and s.fragments > 0 and not exists (
        select from section_segmentation n
        where n.volume_id = s.volume_id and n.z = s.z and n.operation_id > s.operation_id)
      order by s.z
      """, [.int(volume)])
    var sections: [UnfilledSection] = []
    for row in 0..<result.count {
      sections.append(
        UnfilledSection(
          z: SectionNumber(try result.int(row, 0)), operation: try result.int(row, 1), file: try result.text(row, 2)))
    }
    return sections
  }

  /// Adds the label tiles of a section that has none. Nothing happens if its rows were replaced meanwhile.
  /// - Returns: whether they were added.
  @discardableResult
  public func fill(
    _ section: UnfilledSection, volume: Int64, _ labels: LabelTiles
  ) throws(DatabaseError) -> Bool {
    try connection.transaction { () throws(DatabaseError) in
      let changed = try connection.execute(
        """
        update section_segmentation set labels_operation_id = operation_id
        where volume_id = $1 and z = $2 and operation_id = $3 and labels_operation_id is null
        """, [.int(volume), .int(section.z), .int(section.operation)]
      ).affected
      guard changed == 1 else { return false }
      try copyLabels([(section.z, labels)], volume: volume, operation: section.operation)
      return true
    }
  }

  /// Notes what an operation wrote of sections, with their label tiles; the caller is in its transaction.
  func noteSegmentations(
    _ commits: [SectionCommit], _ state: SectionState, volume: Int64, run: Int64, operation: Int64
  ) throws(DatabaseError) {
    try connection.execute(
      "delete from section_segmentation where volume_id = $1 and z = any($2::bigint[]) and state = 'provisional'",
      [.int(volume), .ints(commits.map { Int64($0.z) })])
    for commit in commits {
      try connection.execute(
        """
        insert into section_segmentation (volume_id, z, operation_id, section_id, run_id, state, file, signature, fragments,
          fragment_base, contact_affinity_below, labels_operation_id)
        select volume_id, z, $3, section_id, $4, $5, file, signature, $6, $7, $8, case when $9 then $3::bigint else (
          select max(s.labels_operation_id) from section_segmentation s
          where s.volume_id = $1 and s.z = $2 and s.fragment_base = $7) end
        from section where volume_id = $1 and z = $2 and state <> 'superseded'
        """,
        [
          .int(volume), .int(commit.z), .int(operation), .int(run), .text(state.rawValue),
          .int(commit.fragments.count), .int(optional: commit.fragments.first?.id.base),
          .double(optional: commit.contactAffinityBelow), .bool(commit.labels != nil),
        ])
    }
    var labels: [(z: SectionNumber, tiles: LabelTiles)] = []
    for commit in commits { if let tiles = commit.labels { labels.append((commit.z, tiles)) } }
    try copyLabels(labels, volume: volume, operation: operation)
  }

  private func copyLabels(
    _ sections: [(z: SectionNumber, tiles: LabelTiles)], volume: Int64, operation: Int64
  ) throws(DatabaseError) {
    if sections.isEmpty { return }
    var copy = CopyBuilder(columns: 7, expectedRows: sections.reduce(0) { $0 + $1.tiles.tiles.count * 128 })
    for (z, labels) in sections {
      for tile in labels.tiles {
        copy.row()
        copy.int4(Int32(volume))
        copy.int4(z)
        copy.int8(operation)
        copy.int4(tile.minY)
        copy.int4(tile.minX)
        copy.int4(tile.height)
        copy.bytea(tile.runs)
      }
    }
    try connection.copyIn("label_tile (volume_id, z, operation_id, min_y, min_x, height_px, runs)", copy)
  }
}

extension FragmentID {
  /// The id less its label: what the ids of a section's fragments have in common.
  var base: Int64 { signed - Int64(label) }
}

extension SectionCommit {
  /// Mean affinity over all contacts with the section below; nil if there are none.
  var contactAffinityBelow: Double? {
    var area = 0
    var sum = 0.0
    for edge in edges where edge.a.z != edge.b.z {
      area += edge.contactArea
      sum += Double(edge.meanAffinity) * Double(edge.contactArea)
    }
    return area > 0 ? min(1, sum / Double(area)) : nil
  }
}
