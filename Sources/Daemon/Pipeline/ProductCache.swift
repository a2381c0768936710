/// The last few products read or made, so that a window of sections is not read from disk for each decision.
struct ProductCache<Value> {
  private let capacity: Int
  private var values: [String: Value] = [:]
  /// Keys, least recently used first.
  private var order: [String] = []

  init(capacity: Int) { self.capacity = capacity }

  subscript(key: String) -> Value? {
    mutating get {
      guard let found = values[key] else { return nil }
      if let index = order.firstIndex(of: key) { order.append(order.remove(at: index)) }
      return found
    }
  }

  mutating func insert(_ key: String, _ value: Value) {
    if values.updateValue(value, forKey: key) == nil { order.append(key) }
    while order.count > capacity { values[order.removeFirst()] = nil }
  }

  mutating func remove(_ key: String) {
    values[key] = nil
    order.removeAll { $0 == key }
  }
}
