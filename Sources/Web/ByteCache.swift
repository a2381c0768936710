import Synchronization

/// Values by key, the latest used, up to so many bytes.
final class ByteCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry {
    var value: Value
    var bytes: Int
    var used: UInt64
  }
  private struct State {
    var entries: [Key: Entry] = [:]
    var bytes = 0
    var clock: UInt64 = 0
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  subscript(key: Key) -> Value? {
    state.withLock { state in
      guard state.entries[key] != nil else { return nil }
      state.clock += 1
      state.entries[key]?.used = state.clock
      return state.entries[key]?.value
    }
  }

  /// Keeps a value; what was not used for the longest time goes. One that is larger than the limit is not kept.
  func insert(_ value: Value, bytes: Int, for key: Key) {
    guard bytes <= limit else { return }
    state.withLock { state in
      state.clock += 1
      if let old = state.entries.updateValue(Entry(value: value, bytes: bytes, used: state.clock), forKey: key) {
        state.bytes -= old.bytes
      }
      state.bytes += bytes
      guard state.bytes > limit else { return }
      // A quarter at a time, so that a full cache is not sorted for each insertion.
      for (key, entry) in state.entries.sorted(by: { $0.value.used < $1.value.used }) {
        guard state.bytes > limit - limit / 4, state.entries.count > 1 else { break }
        state.entries[key] = nil
        state.bytes -= entry.bytes
      }
    }
  }

  /// Bytes kept.
  var bytes: Int { state.withLock { $0.bytes } }
}
