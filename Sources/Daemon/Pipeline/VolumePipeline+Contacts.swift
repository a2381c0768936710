import DB

extension VolumePipeline {
  /// Sums up the contacts of segments in one block of sections that nothing is to come to any more. Called when no volume has
  /// anything else to do, and asks the database only after an operation that may have made it necessary.
  /// - Returns: whether there was one.
  func summariseContacts() throws -> Bool {
    let operation = try record.lastOperation(volume: volume.id)
    guard operation != summarisedAt else { return false }
    let summary = try timings.measure(.database) { try record.summariseContacts(volume: volume.id) }
    if summary == .nothing { summarisedAt = operation }
    guard case .done(let block) = summary else { return false }
    log.info("\(name) z \(block * 32) to \(block * 32 + 31): contacts of segments are summed up")
    return true
  }
}
