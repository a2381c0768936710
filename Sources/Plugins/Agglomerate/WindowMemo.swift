import Domain
import Synchronization

/// Decisions of windows that further sections will ask for: a window is the last one of a section first, then the middle
/// one and the first one of sections above. Graphs are told by their identity, so a section that came late or was made
/// again is another one, and nothing is taken for what it is not.
final class WindowMemo: Sendable {
  struct Key: Equatable, Sendable {
    var sections: [SectionGraph.Identity]
    /// Whether edges of the first section to below it were looked at.
    var keepEdgesBelow: Bool
  }

  private struct Entry {
    var key: Key
    /// Of some sections of the window.
    var decisions: [Int: [EdgeDecision]]
  }

  /// Oldest first.
  private let entries = Mutex<[Entry]>([])
  private let capacity: Int

  /// - Parameter capacity: windows held at most; the oldest goes first.
  init(capacity: Int) { self.capacity = capacity }

  /// The decisions on a section of a window, if they are known.
  /// - Parameter last: whether nobody will ask for this window again.
  func decisions(_ key: Key, section: Int, last: Bool) -> [EdgeDecision]? {
    entries.withLock { entries in
      guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
      let found = entries[index].decisions[section]
      if last { entries.remove(at: index) }
      return found
    }
  }

  func insert(_ key: Key, _ decisions: [Int: [EdgeDecision]]) {
    entries.withLock { entries in
      entries.append(Entry(key: key, decisions: decisions))
      if entries.count > capacity { entries.removeFirst() }
    }
  }
}
