/// Disjoint sets of 0..<count; the representative of a set is its smallest element.
public struct UnionFind {
  private var parent: [Int]

  public init(count: Int) { parent = Array(0..<count) }

  public mutating func find(_ element: Int) -> Int {
    var root = element
    while parent[root] != root {
      parent[root] = parent[parent[root]]
      root = parent[root]
    }
    return root
  }

  /// - Returns: whether the two were apart.
  @discardableResult
  public mutating func union(_ a: Int, _ b: Int) -> Bool {
    let rootA = find(a)
    let rootB = find(b)
    if rootA == rootB { return false }
    parent[max(rootA, rootB)] = min(rootA, rootB)
    return true
  }
}
