public import Domain

extension Record {
  /// Whether a correction in force names a fragment of the section.
  public func isCorrected(volume: Int64, z: SectionNumber) throws(DatabaseError) -> Bool {
    // Ids order by z, so a section is a range of ids.
    let low = FragmentID(z: z, signature: 0, label: 1).signed - 1
    return try connection.execute(
      """
      select exists (
        select from correction where volume_id = $1 and until_operation_id is null
          and fragment_a between $2 and $2 + (1::bigint << 45) - 1
      ) or exists (
        select from correction where volume_id = $1 and until_operation_id is null
          and fragment_b between $2 and $2 + (1::bigint << 45) - 1
      )
      """, [.int(volume), .int(low)]
    ).bool(0, 0)
  }

  /// The file that the section's rows belong to, or, after new bytes came and before they are segmented, belonged to.
  public func lastFile(volume: Int64, z: SectionNumber) throws(DatabaseError) -> String? {
    let rows = try connection.execute(
      """
      select file from section where volume_id = $1 and z = $2 and file is not null order by revision desc limit 1
      """, [.int(volume), .int(z)])
    return rows.count == 0 ? nil : try rows.optionalText(0, 0)
  }
}
