/// What became of an attempt to sum up contacts.
public enum ContactSummary: Sendable, Equatable {
  /// No block waits for it.
  case nothing
  /// Somebody changes the volume just now; the block waits.
  case busy(block: Int)
  /// The block of sections 32 times this to 31 more is summed up.
  case done(block: Int)
  /// Somebody changed the block meanwhile; it waits again.
  case void(block: Int)
}

/// Contacts of segments, summed up by blocks of 32 sections, for the SQL function `neighbours`. It gives the same without them.
extension Record {
  /// Sums up the contacts of one block, the lowest that waits for it. Takes seconds for large sections; no commit and no edit
  /// waits for it meanwhile (Sources/DB/Migrations/m0008a_contacts.sql).
  /// - Parameter block: this one instead, whatever is still to come to it.
  @discardableResult
  public func summariseContacts(volume: Int64, block: Int? = nil) throws(DatabaseError) -> ContactSummary {
    var chosen = block
    if chosen == nil {
      chosen = try connection.execute("select open_contact_block($1::integer)", [.int(volume)])
        .optionalInt(0, 0).map { Int($0) }
    }
    guard let chosen else { return .nothing }
    let begun = try connection.execute(
      "select begin_contacts($1::integer, $2::integer)", [.int(volume), .int(chosen)]
    ).optionalInt(0, 0)
    guard let begun else { return .busy(block: chosen) }
    let counts = try connection.execute(
      "select summarise_contacts($1::integer, $2::integer, $3::integer)", [.int(volume), .int(chosen), .int(begun)]
    ).bool(0, 0)
    return counts ? .done(block: chosen) : .void(block: chosen)
  }
}
