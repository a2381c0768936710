import Volumes

extension VolumeError {
  /// The disk is full.
  var isNoSpace: Bool {
    if case .noSpace = self { true } else { false }
  }

  /// The fault lies in the file at `path` (a source), not in what the daemon writes.
  func isAbout(_ path: String) -> Bool {
    switch self {
    case .unreadable(let file, _), .unsupported(let file, _), .corrupt(let file, _), .changed(let file):
      file == path
    case .unwritable, .noSpace: false
    }
  }
}
