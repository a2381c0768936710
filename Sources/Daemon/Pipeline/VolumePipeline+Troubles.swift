import DB
import Domain
import Foundation
import Logging

/// A stage failed on a section.
struct SectionFailure: Error {
  /// The section to blame: of a denoise stage the one it was given, of an affinity stage the one in the middle.
  var z: SectionNumber
  var error: StageError
}

/// Sections that a stage fails on: tried again after pauses, then set aside, and taken up again when there is a reason to.
extension VolumePipeline {
  /// What is known of a section that a stage failed on.
  struct Trouble {
    var failures: Int
    /// Monotonic seconds.
    var notBefore: Double
  }

  /// How often a section is tried.
  static let attempts = 3

  func isPaused(_ z: SectionNumber) -> Bool { troubles[z].map { monotonicSeconds() < $0.notBefore } ?? false }

  /// Whether a section that the product of this place looks at waits to be tried again.
  func isPaused(around place: Int) -> Bool {
    guard !troubles.isEmpty else { return false }
    let window = plan.window(place, below: 2 * stages.reach.context, above: stages.reach.context)
    return window.contains { isPaused(plan.stack[$0]) }
  }

  var hasPauses: Bool { troubles.keys.contains(where: isPaused) }

  func hasFailed(_ failure: SectionFailure) throws {
    // What was under way when another piece failed on the same section is no further attempt.
    guard !isPaused(failure.z), plan.sources[failure.z] != nil else { return }
    let failures = (troubles[failure.z]?.failures ?? 0) + 1
    guard failures < Self.attempts else { return try setAside(failure.z, "\(failure.error)") }
    let pause = shortestPause * Double(1 << (failures - 1))
    troubles[failure.z] = Trouble(failures: failures, notBefore: monotonicSeconds() + pause)
    log.warning(
      "\(name) z \(failure.z): \(failure.error); tried again in \(pause) s, \(Self.attempts - failures) more times")
  }

  private func setAside(_ z: SectionNumber, _ reason: String) throws {
    guard let row = rows[z] else { return }
    try record.setAside(volume: volume.id, z: z, sectionID: row.id, reason: reason, run: runID)
    leaveOut(z)
    try reloadRow(z)
    log.error("set aside \(name) z \(z): \(reason); neighbours are linked across")
  }

  private func leaveOut(_ z: SectionNumber) {
    setAside.insert(z)
    troubles[z] = nil
    plan.setAside(z)
    making.removeAll { $0.order.z == z }
    removeProducts(z, except: [])
  }

  /// Sections that an operator set aside, or wants to be tried again.
  func followSetAside() throws {
    for row in try record.sections(volume.id) {
      switch (row.state, setAside.contains(row.z)) {
      case (.setAside, false):
        rows[row.z] = row
        leaveOut(row.z)
        log.notice("\(name) z \(row.z): set aside by an operator; neighbours are linked across")
      case (.received, true):
        rows[row.z] = row
        setAside.remove(row.z)
        plan.insert(row.z, source: row.sha256 ?? "")
        log.notice("\(name) z \(row.z): taken up again")
      default: break
      }
    }
  }
}
