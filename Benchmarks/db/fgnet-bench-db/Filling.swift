import DB

/// Contacts summed up by blocks, as the daemon does when it has nothing else to do.
struct Filling {
  let record: Record

  /// Sums up every block that waits for it, and says what that cost.
  func fill(_ report: inout Report) throws {
    var times = Times()
    var blocks: [Int64] = []
    while true {
      let summary = try times.measure { try record.summariseContacts(volume: 1) }
      guard case .done(let block) = summary else { break }
      blocks.append(Int64(block))
    }
    guard !blocks.isEmpty else { return }
    let facts = try record.connection.execute(
      """
      select (select count(*) from section s where s.volume_id = 1 and s.z >> 5 = any ($1::bigint[])),
        (select count(*) from segment_contact)
      """, [.ints(blocks)])
    let sections = try facts.double(0, 0)
    let most = times.values.max() ?? 0
    let perSection = times.values.reduce(0, +) / sections
    report.add(
      "contacts of a section summed up, on average; the longest block", "\(Int(perSection)) ms; \(Int(most)) ms")
    // As the server does by itself in a minute.
    try record.connection.execute("vacuum (analyze) segment_contact")
    report.add("rows of `segment_contact`", try facts.text(0, 1))
  }
}
