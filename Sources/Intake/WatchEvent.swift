/// One line of the watcher (docs/decisions/0002-watcher.md).
public enum WatchEvent: Sendable, Equatable {
  /// All watches are set; what was there before has to be found by a scan.
  case ready
  /// A file open for writing was closed.
  case closed(String)
  /// A file was renamed into a watched folder.
  case moved(String)
  /// A file or a folder is no longer at this path.
  case deleted(String)
  /// A folder came; files in it may have come before its watch.
  case folder(String)
  /// Events were lost; scan.
  case overflow
  /// A watched folder itself was deleted, renamed or unmounted.
  case folderGone(String)
  /// inotify's watches are exhausted; the text says what to do.
  case limit(String)
  /// Something else went wrong.
  case fault(String)
  /// A file whose name is not UTF-8 came or changed; the text is its path with such bytes as %XX.
  case unnameable(String)

  /// Reads one line without its line feed. A line that cannot be understood becomes `.fault`.
  public init(line: some Collection<UInt8>) {
    let space = line.firstIndex(of: UInt8(ascii: " "))
    let word = String(decoding: line[..<(space ?? line.endIndex)], as: UTF8.self)
    let detail = space.map { Array(line[line.index(after: $0)...]) }
    self = Self.parsed(word, detail) ?? .fault("not understood: \(String(decoding: line.prefix(200), as: UTF8.self))")
  }

  private static func parsed(_ word: String, _ escaped: [UInt8]?) -> WatchEvent? {
    guard let escaped else {
      switch word {
      case "ready": return .ready
      case "overflow": return .overflow
      default: return nil
      }
    }
    guard let bytes = PercentEscape.decoded(escaped), !bytes.isEmpty else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      switch word {
      case "closed", "moved": return .unnameable(PercentEscape.shown(bytes))
      // A folder or a deletion that cannot be named: a scan sorts it out.
      case "folder", "deleted": return .overflow
      default: return .fault("\(word) \(PercentEscape.shown(bytes))")
      }
    }
    switch word {
    case "closed": return .closed(text)
    case "moved": return .moved(text)
    case "deleted": return .deleted(text)
    case "folder": return .folder(text)
    case "folder-gone": return .folderGone(text)
    case "limit": return .limit(text)
    case "fault": return .fault(text)
    default: return nil
    }
  }
}
