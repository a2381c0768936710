/// The last few products read or made, so that a window of sections is not read from disk for each decision.
struct ProductCache<Value> {
  private let capacity: Int
  private let limit: Int
  private let size: (Value) -> Int
  private var values: [String: Value] = [:]
  private var sizes: [String: Int] = [:]
  private var bytes = 0
  /// Keys, least recently used first.
  private var order: [String] = []

  /// - Parameters:
  ///   - capacity: values that are held at most.
  ///   - limit: bytes they may have together; a value that is larger is not held at all.
  ///   - size: bytes of a value.
  init(capacity: Int, limit: Int, size: @escaping (Value) -> Int) {
    self.capacity = capacity
    self.limit = limit
    self.size = size
  }

  subscript(key: String) -> Value? {
    mutating get {
      guard let found = values[key] else { return nil }
      if let index = order.firstIndex(of: key) { order.append(order.remove(at: index)) }
      return found
    }
  }

  mutating func insert(_ key: String, _ value: Value) {
    remove(key)
    let size = size(value)
    guard size <= limit else { return }
    values[key] = value
    sizes[key] = size
    bytes += size
    order.append(key)
    while order.count > capacity || bytes > limit { remove(order[0]) }
  }

  mutating func remove(_ key: String) {
    guard values.removeValue(forKey: key) != nil else { return }
    bytes -= sizes.removeValue(forKey: key) ?? 0
    order.removeAll { $0 == key }
  }
}
