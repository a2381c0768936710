import Domain
import Intake
import Volumes

/// A folder taken as it lies: every file is either whole now or set aside.
enum FolderIntake {
  static func scanOnce(
    _ volume: DaemonConfiguration.Volume, policy: IntakePolicy
  ) throws -> (offered: [OfferedFile], refused: [RefusedFile]) {
    let pattern = try FilePattern(volume.pattern)
    guard case .listing(let listing) = FolderScanner.scan(volume.folder, recursive: true) else {
      throw OperatorError("the folder \(volume.folder) cannot be listed; check its permissions", status: .noInput)
    }
    var offered: [OfferedFile] = []
    var refused: [RefusedFile] = listing.faults.map { RefusedFile(path: $0.path, reason: $0.description, nil) }
    func relative(_ path: String) -> String {
      let prefix = volume.folder.utf8.count + (volume.folder.hasSuffix("/") ? 0 : 1)
      return String(decoding: path.utf8.dropFirst(prefix), as: UTF8.self)
    }
    for path in listing.unnameable where !policy.ignores(relative(path)) {
      refused.append(RefusedFile(path: path, reason: "its name is not UTF-8; rename it", nil))
    }
    for file in listing.files {
      let relative = relative(file.path)
      guard !policy.ignores(relative) else { continue }
      switch pattern.match(relative) {
      case .other: continue
      case .refused(let reason): refused.append(RefusedFile(path: file.path, reason: reason, file))
      case .section(let z, let name):
        if let name, name != volume.name { continue }
        switch ImageProbe.probe(file.path, volume.images) {
        case .complete(let facts):
          guard Int(z) + facts.sections - 1 <= Int(pattern.range.upperBound) else {
            let reason = "its last section would be above \(pattern.range.upperBound)"
            refused.append(RefusedFile(path: file.path, reason: reason, file))
            continue
          }
          let ready = ReadyFile(path: file.path, z: z, volume: name, status: file, sections: facts.sections)
          offered += OfferedFile.sections(of: ready, volume: volume.name)
        case .incomplete(let reason), .unusable(let reason), .unreadable(let reason):
          refused.append(RefusedFile(path: file.path, reason: reason, file))
        }
      }
    }
    offered.sort { ($0.z, $0.path) < ($1.z, $1.path) }
    return (offered, refused)
  }
}

extension OfferedFile {
  /// Every section in a file, from the lowest.
  static func sections(of file: ReadyFile, volume: String) -> [OfferedFile] {
    (0..<file.sections).map { plane in
      OfferedFile(
        volume: volume, z: file.z + SectionNumber(plane), path: file.path, size: file.status.size,
        mtimeNs: file.status.modified, plane: plane, planes: file.sections)
    }
  }
}

extension RefusedFile {
  init(path: String, reason: String, _ status: FileStatus?) {
    self.init(path: path, size: status?.size ?? 0, mtimeNs: status?.modified ?? 0, reason: reason)
  }
}
