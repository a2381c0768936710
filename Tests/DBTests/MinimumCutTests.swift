import DB
import Testing

@Suite struct MinimumCutTests {
  private struct Graph {
    var nodes: Int
    var edges: [(a: Int, b: Int, capacity: Int64)] = []

    init(seed: UInt64) {
      var generator = SeededGenerator(seed: seed)
      nodes = Int.random(in: 2...9, using: &generator)
      for _ in 0..<Int.random(in: 0...20, using: &generator) {
        edges.append(
          (
            Int.random(in: 1...nodes, using: &generator), Int.random(in: 1...nodes, using: &generator),
            Int64.random(in: 1...9, using: &generator)
          ))
      }
    }

    /// Sum over the edges between a side, given as bits, and the other.
    func cut(_ side: Int) -> Int64 {
      edges.reduce(0) { (side >> $1.a) & 1 != (side >> $1.b) & 1 ? $0 + $1.capacity : $0 }
    }

    /// The least cut between nodes 1 and 2: of all sides there are the cheapest, and of these the smallest.
    func bruteForce() -> (capacity: Int64, side: Int) {
      let sides = (0..<(1 << (nodes + 1))).filter { $0 & 1 == 0 && $0 & 2 != 0 && $0 & 4 == 0 }
      let best = sides.map { (capacity: cut($0), size: $0.nonzeroBitCount, side: $0) }.min {
        ($0.capacity, $0.size) < ($1.capacity, $1.size)
      }
      return best.map { ($0.capacity, $0.side) } ?? (0, 0)
    }
  }

  private func side(_ graph: Graph, _ connection: Connection) throws -> Int {
    let rows = try connection.execute(
      """
      select place, side from unnest(minimum_cut($1::integer, $2::bigint[]::integer[], $3::bigint[]::integer[],
        $4::bigint[], 1, 2)) with ordinality c (side, place)
      """,
      [
        .int(graph.nodes), .ints(graph.edges.map { Int64($0.a) }), .ints(graph.edges.map { Int64($0.b) }),
        .ints(graph.edges.map(\.capacity)),
      ])
    #expect(rows.count == graph.nodes)
    return try (0..<rows.count).reduce(0) { try rows.bool($1, 1) ? $0 | 1 << Int(rows.int($1, 0)) : $0 }
  }

  /// Parallel edges, loops and separate pieces included.
  @Test func theCutIsTheLeastThereIs() throws {
    let connection = try TestDatabase().connection
    for seed in 1...300 as ClosedRange<UInt64> {
      let graph = Graph(seed: seed)
      let found = try side(graph, connection)
      let best = graph.bruteForce()
      #expect(graph.cut(found) == best.capacity, "seed \(seed)")
      #expect(found == best.side, "seed \(seed)")
    }
  }

  @Test func componentsAreNamedByTheirSmallestNode() throws {
    let connection = try TestDatabase().connection
    for seed in 1...50 as ClosedRange<UInt64> {
      let graph = Graph(seed: seed)
      var sets = UnionFind(count: graph.nodes + 1)
      for edge in graph.edges { sets.union(edge.a, edge.b) }
      let rows = try connection.execute(
        "select unnest(components($1::integer, $2::bigint[]::integer[], $3::bigint[]::integer[]))",
        [.int(graph.nodes), .ints(graph.edges.map { Int64($0.a) }), .ints(graph.edges.map { Int64($0.b) })])
      #expect(try (0..<rows.count).map { try Int(rows.int($0, 0)) } == (1...graph.nodes).map { sets.find($0) })
    }
  }
}
