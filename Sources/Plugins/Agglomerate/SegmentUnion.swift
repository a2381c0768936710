public import Domain

/// Segments as the union of fragments over accepted edges.
public enum SegmentUnion {
  /// - Parameters:
  ///   - stack: graphs in z order.
  ///   - decisions: one for each edge of each graph, in their order.
  /// - Returns: for each graph, the segment of each fragment in the order of `fragments`. A segment's id is the least
  ///   fragment id in it. Accepted edges to fragments that are not in the stack join nothing.
  public static func segments(of stack: [SectionGraph], decisions: [[EdgeDecision]]) -> [[SegmentID]] {
    var ids: [FragmentID] = []
    for graph in stack { ids += graph.fragments }
    var parent = Array(ids.indices)
    for (graph, decisions) in zip(stack, decisions) {
      for (edge, decision) in zip(graph.edges, decisions) where decision.accepted {
        guard let a = place(of: edge.a, in: ids), let b = place(of: edge.b, in: ids) else { continue }
        let one = root(&parent, a)
        let other = root(&parent, b)
        // Ids ascend with their places, so the smaller place is the older id.
        parent[max(one, other)] = min(one, other)
      }
    }
    var out: [[SegmentID]] = []
    var next = 0
    for graph in stack {
      out.append(
        graph.fragments.indices.map { SegmentID(rawValue: ids[root(&parent, next + $0)].rawValue) })
      next += graph.fragments.count
    }
    return out
  }

  private static func root(_ parent: inout [Int], _ index: Int) -> Int {
    var index = index
    while parent[index] != index {
      parent[index] = parent[parent[index]]
      index = parent[index]
    }
    return index
  }

  private static func place(of id: FragmentID, in ids: [FragmentID]) -> Int? {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < ids.count && ids[low] == id ? low : nil
  }
}
