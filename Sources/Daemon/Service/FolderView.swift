import Intake
import Volumes

/// What the intake sees of the disk. Tests put their own in.
struct FolderView: Sendable {
  /// Lists a folder with those below; calls the closure before whatever may take long.
  var scan: @Sendable (_ folder: String, _ sign: () -> Void) -> ScanResult = {
    FolderScanner.scan($0, recursive: true, sign: $1)
  }
  var probe: @Sendable (_ path: String, _ options: ImageOptions) -> ProbeOutcome = {
    ImageProbe.probe($0, $1).outcome
  }
  var status: @Sendable (_ path: String) -> FileStatus? = { FileStatus(ofFile: $0) }
}

extension ImageProbeResult {
  var outcome: ProbeOutcome {
    switch self {
    case .complete(let facts): .complete(sections: facts.sections)
    case .incomplete(let reason): .incomplete(reason: reason)
    case .unusable(let reason): .unusable(reason: reason)
    case .unreadable(let reason): .unreadable(reason: reason)
    }
  }
}
