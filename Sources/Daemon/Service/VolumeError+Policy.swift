import Volumes

extension VolumeError {
  /// The disk is full.
  var isNoSpace: Bool {
    if case .noSpace = self { true } else { false }
  }

  /// The file it is about.
  var path: String {
    switch self {
    case .unreadable(let path, _), .unsupported(let path, _), .corrupt(let path, _), .unwritable(let path, _),
      .noSpace(let path), .changed(let path):
      path
    }
  }

  /// The same with more to say of the reason.
  func adding(_ text: String) -> VolumeError {
    switch self {
    case .unreadable(let path, let reason): .unreadable(path: path, reason: reason + "; " + text)
    case .unsupported(let path, let reason): .unsupported(path: path, reason: reason + "; " + text)
    case .corrupt(let path, let reason): .corrupt(path: path, reason: reason + "; " + text)
    case .unwritable, .noSpace, .changed: self
    }
  }

  /// The fault lies in the file at `path` (a source), not in what the daemon writes.
  func isAbout(_ path: String) -> Bool {
    switch self {
    case .unreadable, .unsupported, .corrupt, .changed: self.path == path
    case .unwritable, .noSpace: false
    }
  }
}
