/// Layers by what they were computed from. Equal keys mean equal values.
struct LayerMemo {
  /// A layer at one place: the keys of the sections within its radius, clipped at the ends of the stack, and which of
  /// them is the place's own.
  struct Key: Hashable {
    var layer: Layer
    var sections: [String]
    var centre: Int
    var section: String { sections[centre] }
  }

  /// The maps of a layer at one place.
  struct Value {
    var maps: [Tensor]
    /// Size of the section before padding.
    var height: Int
    var width: Int
    var bytes: Int { maps.reduce(0) { $0 + $1.bytes } }
  }

  private struct Entry {
    var value: Value
    var used: Int
  }

  private var entries: [Key: Entry] = [:]
  private var clock = 0

  var count: Int { entries.count }
  var bytes: Int { entries.values.reduce(0) { $0 + $1.value.bytes } }

  mutating func take(_ key: Key) -> Value? {
    guard entries[key] != nil else { return nil }
    clock += 1
    entries[key]?.used = clock
    return entries[key]?.value
  }

  func contains(_ key: Key) -> Bool { entries[key] != nil }

  mutating func insert(_ value: Value?, for key: Key) {
    guard let value else { return }
    clock += 1
    entries[key] = Entry(value: value, used: clock)
  }

  mutating func remove(_ key: Key) { entries[key] = nil }

  /// Keeps `needed`; of the rest, drops everything that belongs to `sections`, and then the least recently used until
  /// at most `limit` bytes are left besides what is needed.
  mutating func trim(needed: Set<Key>, sections: Set<String>, limit: Int) {
    entries = entries.filter { needed.contains($0.key) || !sections.contains($0.key.section) }
    var foreign = entries.filter { !needed.contains($0.key) }.map { ($0.value.used, $0.value.value.bytes, $0.key) }
    foreign.sort { $0.0 < $1.0 }
    var bytes = foreign.reduce(0) { $0 + $1.1 }
    for (_, size, key) in foreign where bytes > limit {
      entries[key] = nil
      bytes -= size
    }
  }
}
