public import Domain

extension Record {
  /// All current sections of a volume, in z order.
  public func sections(_ volume: Int64) throws(DatabaseError) -> [SectionRow] {
    try sectionRows(volume, z: nil)
  }

  /// The current row of one section; nil if there is none.
  public func section(_ volume: Int64, z: SectionNumber) throws(DatabaseError) -> SectionRow? {
    try sectionRows(volume, z: z).first
  }

  private func sectionRows(_ volume: Int64, z: SectionNumber?) throws(DatabaseError) -> [SectionRow] {
    let result = try connection.execute(
      """
      select section_id, z, revision, state, content_sha256, source_path, height, width, bit_depth, mean_intensity,
        std_intensity, run_id, file, signature, note, plane
      from section where volume_id = $1 and state <> 'superseded' and ($2::integer is null or z = $2) order by z
      """, [.int(volume), .int(optional: z.map { Int64($0) })])
    var rows: [SectionRow] = []
    for row in 0..<result.count {
      guard let state = SectionState(rawValue: try result.text(row, 3)) else {
        throw .unexpected("section \(try result.int(row, 1)) has an unknown state")
      }
      rows.append(
        SectionRow(
          id: try result.int(row, 0), z: SectionNumber(try result.int(row, 1)), revision: Int(try result.int(row, 2)),
          state: state, sha256: try result.optionalText(row, 4), sourcePath: try result.optionalText(row, 5),
          height: try result.optionalInt(row, 6).map { Int($0) }, width: try result.optionalInt(row, 7).map { Int($0) },
          bitDepth: try result.optionalInt(row, 8).map { Int($0) }, plane: Int(try result.int(row, 15)),
          meanIntensity: try result.optionalDouble(row, 9),
          stdIntensity: try result.optionalDouble(row, 10), runID: try result.optionalInt(row, 11),
          file: try result.optionalText(row, 12), signature: try result.optionalText(row, 13),
          note: try result.optionalText(row, 14)))
    }
    return rows
  }

  /// Takes in a section's file, or finds that there is nothing to do.
  /// - Parameters:
  ///   - sha256: of the content, hexadecimal: the file's bytes, or the section's grey values.
  ///   - mtimeNs: modification time, nanoseconds since 1970.
  ///   - meanIntensity: of the pixels, 0...1.
  /// - Throws: `.conflict` if the volume is finished below z.
  public func receive(
    volume: Int64, z: SectionNumber, sha256: String, path: String, size: Int64, mtimeNs: Int64, height: Int, width: Int,
    bitDepth: Int, meanIntensity: Double?, stdIntensity: Double? = nil, quality: SectionQuality? = nil,
    facts: FileFacts = FileFacts(), run: Int64
  ) throws(DatabaseError) -> ReceiveOutcome {
    let file = FileStamp(path: path, size: size, mtimeNs: mtimeNs)
    return try connection.transaction { () throws(DatabaseError) in
      if let expected = try shape(of: volume, orFix: (height, width), z: z), expected != (height, width) {
        return .wrongSize(expectedHeight: expected.height, expectedWidth: expected.width)
      }
      let known = try current(volume, z)
      if let known, known.sha256 == sha256 {
        try remember(file, facts, volume: volume, section: known.id)
        return .duplicate(z: z)
      }
      let twin = try sameBytes(volume, sha256, besides: z)
      let notes = [twin.map { "the same bytes as section \($0)" }, facts.warning].compactMap { $0 }
      let columns: [Parameter] = [
        .int(volume), .int(z), .text(sha256), .text(path), .int(height), .int(width), .int(bitDepth),
        .double(optional: meanIntensity), .double(optional: stdIntensity), .int(run),
        .text(optional: notes.isEmpty ? nil : notes.joined(separator: "; ")), .int(facts.plane),
        .double(optional: facts.pixelSize?.y), .double(optional: facts.pixelSize?.x),
        .double(optional: quality?.darkFraction), .double(optional: quality?.brightFraction),
        .double(optional: quality?.sharpness),
      ]
      if let known, known.state == .missing {
        try connection.execute(
          """
          update section set state = 'received', content_sha256 = $3, source_path = $4, height = $5, width = $6,
            bit_depth = $7, mean_intensity = $8, std_intensity = $9, run_id = $10, note = $11, plane = $12,
            pixel_y_nm = $13, pixel_x_nm = $14, dark_fraction = $15, bright_fraction = $16, sharpness = $17,
            received_at = now()
          where volume_id = $1 and z = $2 and state = 'missing'
          """, columns)
        try remember(file, facts, volume: volume, section: known.id)
        return .filledGap(sectionID: known.id)
      }
      if let known {
        try connection.execute("update section set state = 'superseded' where section_id = $1", [.int(known.id)])
      }
      let revision = (known?.revision ?? 0) + 1
      let section = try connection.execute(
        """
        insert into section (volume_id, z, state, content_sha256, source_path, height, width, bit_depth, mean_intensity,
          std_intensity, run_id, note, plane, pixel_y_nm, pixel_x_nm, dark_fraction, bright_fraction, sharpness, received_at,
          revision)
        values ($1, $2, 'received', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, now(), $18)
        returning section_id
        """, columns + [.int(revision)]
      ).int(0, 0)
      try remember(file, facts, volume: volume, section: section)
      return known == nil
        ? .new(sectionID: section, sameBytesAs: twin) : .revision(sectionID: section, revision: revision)
    }
  }

  /// The volume's shape; set by the first section. Locks the volume's row.
  private func shape(
    of volume: Int64, orFix shape: (height: Int, width: Int), z: SectionNumber
  ) throws(DatabaseError) -> (height: Int, width: Int)? {
    let result = try connection.execute(
      "select height, width, last_z, name from volume where volume_id = $1 for update", [.int(volume)])
    guard result.count == 1 else { throw .conflict("there is no volume with the number \(volume)") }
    if let last = try result.optionalInt(0, 2), last < Int64(z) {
      throw .conflict("volume \(try result.text(0, 3)) is finished at section \(last), so section \(z) is not taken")
    }
    if let height = try result.optionalInt(0, 0), let width = try result.optionalInt(0, 1) {
      return (Int(height), Int(width))
    }
    try connection.execute(
      "update volume set height = $2, width = $3 where volume_id = $1",
      [.int(volume), .int(shape.height), .int(shape.width)])
    return nil
  }

  private func current(
    _ volume: Int64, _ z: SectionNumber
  ) throws(DatabaseError) -> (id: Int64, sha256: String?, state: SectionState?, revision: Int)? {
    let result = try connection.execute(
      """
      select section_id, content_sha256, state, revision from section
      where volume_id = $1 and z = $2 and state <> 'superseded'
      """, [.int(volume), .int(z)])
    guard result.count > 0 else { return nil }
    return (
      try result.int(0, 0), try result.optionalText(0, 1), SectionState(rawValue: try result.text(0, 2)),
      Int(try result.int(0, 3))
    )
  }

  private func sameBytes(
    _ volume: Int64, _ sha256: String, besides z: SectionNumber
  ) throws(DatabaseError) -> SectionNumber? {
    let result = try connection.execute(
      """
      select z from section where volume_id = $1 and content_sha256 = $2 and z <> $3 and state <> 'superseded'
      order by z limit 1
      """, [.int(volume), .text(sha256), .int(z)])
    return result.count == 0 ? nil : SectionNumber(try result.int(0, 0))
  }

  private func remember(
    _ file: FileStamp, _ facts: FileFacts, volume: Int64, section: Int64
  ) throws(DatabaseError) {
    try connection.execute(
      """
      insert into section_file (volume_id, path, section_id, size, mtime_ns, plane, planes)
      values ($1, $2, $3, $4, $5, $6, $7)
      on conflict (volume_id, path, plane) do update
      set section_id = excluded.section_id, size = excluded.size, mtime_ns = excluded.mtime_ns, planes = excluded.planes,
        first_seen = case when section_file.section_id = excluded.section_id then section_file.first_seen else now() end
      """,
      [
        .int(volume), .text(file.path), .int(section), .int(file.size), .int(file.mtimeNs),
        .int(facts.plane), .int(facts.planes),
      ])
  }

  /// Files of which every section is known: a restart need not read them again.
  public func knownFiles(_ volume: Int64) throws(DatabaseError) -> Set<FileStamp> {
    let result = try connection.execute(
      """
      select path, size, mtime_ns from section_file where volume_id = $1
      group by path, size, mtime_ns having count(*) >= max(planes)
      """, [.int(volume)])
    var files = Set<FileStamp>(minimumCapacity: result.count)
    for row in 0..<result.count {
      files.insert(
        FileStamp(path: try result.text(row, 0), size: try result.int(row, 1), mtimeNs: try result.int(row, 2)))
    }
    return files
  }

  /// Declares that a section will not come; if it does, it fills the gap.
  /// - Returns: false if there is a row for it already, which stays as it is.
  @discardableResult
  public func declareMissing(volume: Int64, z: SectionNumber, run: Int64?) throws(DatabaseError) -> Bool {
    try connection.transaction { () throws(DatabaseError) in
      let made = try connection.execute(
        """
        insert into section (volume_id, z, revision, state, run_id) values ($1, $2, 1, 'missing', $3)
        on conflict do nothing
        """, [.int(volume), .int(z), .int(optional: run)]
      ).affected
      guard made == 1 else { return false }
      _ = try begin("declare_missing", volume: volume, firstZ: z, z: z, run: run)
      return true
    }
  }

  /// Seconds since the younger one of two present sections was received, by the server's clock; 0 if neither is there.
  public func secondsSinceReceived(
    volume: Int64, _ one: SectionNumber, _ other: SectionNumber
  ) throws(DatabaseError) -> Double {
    try connection.execute(
      """
      select greatest(0, coalesce(extract(epoch from clock_timestamp() - max(received_at)), 0))::float8 from section
      where volume_id = $1 and z in ($2, $3) and state <> 'superseded'
      """, [.int(volume), .int(one), .int(other)]
    ).double(0, 0)
  }

  /// Says which section is the volume's last, or, with nil, that more may come.
  /// - Throws: `.conflict` if there are sections above it.
  public func setFinished(volume: Int64, lastZ: SectionNumber?, run: Int64? = nil) throws(DatabaseError) {
    try connection.transaction { () throws(DatabaseError) in
      if let lastZ {
        let above = try connection.execute(
          "select max(z) from section where volume_id = $1 and z > $2 and state not in ('superseded', 'missing', 'set_aside')",
          [.int(volume), .int(lastZ)])
        if let z = try above.optionalInt(0, 0) {
          throw .conflict("section \(z) was taken in already, so section \(lastZ) cannot be the last")
        }
      }
      let changed = try connection.execute(
        "update volume set last_z = $2 where volume_id = $1 and last_z is distinct from $2::integer",
        [.int(volume), .int(optional: lastZ.map { Int64($0) })]
      ).affected
      if changed == 1 {
        _ = try begin(lastZ == nil ? "reopen" : "finish", volume: volume, firstZ: lastZ, z: lastZ, run: run)
      }
    }
  }

  /// Sets a file aside, with the reason in a sentence. A file already set aside keeps its row unless it changed.
  public func quarantine(path: String, size: Int64, mtimeNs: Int64, reason: String) throws(DatabaseError) {
    try connection.execute(
      """
      insert into quarantine (path, size, mtime_ns, reason) values ($1, $2, $3, $4)
      on conflict (path) where resolved_at is null do update
      set size = excluded.size, mtime_ns = excluded.mtime_ns, reason = excluded.reason, noticed_at = now()
      where (quarantine.size, quarantine.mtime_ns, quarantine.reason)
        is distinct from (excluded.size, excluded.mtime_ns, excluded.reason)
      """, [.text(path), .int(size), .int(mtimeNs), .text(reason)])
  }

  /// Closes the row of a file that was mended or removed.
  /// - Returns: whether there was one.
  @discardableResult
  public func resolveQuarantine(path: String) throws(DatabaseError) -> Bool {
    try connection.execute(
      "update quarantine set resolved_at = now() where path = $1 and resolved_at is null", [.text(path)]
    ).affected > 0
  }

  /// Files that are set aside now, by path.
  public func openQuarantine() throws(DatabaseError) -> [QuarantineRow] {
    let result = try connection.execute(
      "select path, size, mtime_ns, reason, noticed_at from quarantine where resolved_at is null order by path")
    var rows: [QuarantineRow] = []
    for row in 0..<result.count {
      let file = FileStamp(path: try result.text(row, 0), size: try result.int(row, 1), mtimeNs: try result.int(row, 2))
      rows.append(QuarantineRow(file: file, reason: try result.text(row, 3), noticedAt: try result.text(row, 4)))
    }
    return rows
  }
}
