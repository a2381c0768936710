import DB
import Intake
import Web

/// What the intake tells of files and of itself.
extension DaemonCore {
  /// Sets files aside, and settles what was said of those that are gone.
  func takeNotices(_ record: Record) throws {
    while let notice = notices.first {
      switch notice {
      case .refused(let file): try setAside(file, record)
      case .gone(let path): try resolve(path, record)
      }
      notices.removeFirst()
    }
  }

  func setAside(_ file: RefusedFile, _ record: Record) throws {
    try record.quarantine(path: file.path, size: file.size, mtimeNs: file.mtimeNs, reason: file.reason)
    openQuarantine.insert(file.path)
    log.error("set aside \(PercentEscape.line(file.path)): \(PercentEscape.line(file.reason))")
    setAside += 1
  }

  /// The file is mended or gone.
  func resolve(_ path: String, _ record: Record) throws {
    guard openQuarantine.contains(path) else { return }
    try record.resolveQuarantine(path: path)
    openQuarantine.remove(path)
  }

  /// Raises the alarm for volumes of which nothing is taken in, or clears it.
  func noteIntake(_ faults: [String]) {
    var faults = faults
    if let path = offers.stuck(for: readingPatience) {
      faults.append("reading \(PercentEscape.line(path)) does not come to an end; its mount does not answer")
    }
    note("intake", faults.isEmpty ? nil : faults.joined(separator: "; "))
  }

  func status(_ pipeline: VolumePipeline) -> DaemonStatus.Volume {
    var status = pipeline.status
    status.intake = reports[pipeline.name].map {
      DaemonStatus.Intake(
        fileSystem: $0.fileSystem, pollsBecause: $0.pollsBecause, scanInterval: configuration.intake.scanInterval,
        unseen: $0.unseen)
    }
    return status
  }
}

extension OfferedFile {
  func refused(_ reason: String) -> RefusedFile {
    RefusedFile(path: path, size: size, mtimeNs: mtimeNs, reason: reason)
  }
}
