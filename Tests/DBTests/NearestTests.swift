import DB
import Domain
import Testing

/// Which pair of fragments joins two segments that do not touch.
@Suite struct NearestTests {
  /// Against a comparison of each with each, over sections that the two share or do not, with centres that coincide and with ties.
  @Test(arguments: 1...30 as ClosedRange<UInt64>)
  func theNearestCentresAreFound(seed: UInt64) throws {
    let stack = try TestVolume()
    let connection = stack.database.connection
    var generator = SeededGenerator(seed: seed)
    let size = [3, 20, 100][Int(seed % 3)]
    let first = [0, 5, 12][Int(seed / 3 % 3)]
    var nodes: [[Int64]] = [[], []]
    for kind in 0...1 {
      for label in 1...UInt32(12 * (kind + 1)) {
        let z = SectionNumber(kind * first + Int.random(in: 0...4, using: &generator) * Int(seed % 2 + 1))
        let id = FragmentID(z: z, signature: UInt32(kind), label: label)
        let (y, x) = (Int.random(in: 0..<size, using: &generator), Int.random(in: 0..<size, using: &generator))
        nodes[kind].append(Int64(id.rawValue))
        try connection.execute(
          """
          insert into fragment values (1, $1, $2, $3, 1, $4::integer, $5::integer, $4::integer + 1, $5::integer + 1, $4::integer,
            $5::integer, 'final', 1, 1)
          """, [.int(Int64(id.rawValue)), .int(z), .int(Int64(label)), .int(y), .int(x)])
      }
    }
    let found = try connection.execute(
      "select * from nearest_fragments(1, $1::bigint[], $2::bigint[])", [.ints(nodes[0]), .ints(nodes[1])])
    let expected = try connection.execute(
      """
      select least(p.fragment_id, q.fragment_id), greatest(p.fragment_id, q.fragment_id) from fragment p, fragment q
      where p.fragment_id = any($1::bigint[]) and q.fragment_id = any($2::bigint[])
      order by abs(p.z - q.z), (p.centroid_y - q.centroid_y) ^ 2 + (p.centroid_x - q.centroid_x) ^ 2, 1, 2 limit 1
      """, [.ints(nodes[0]), .ints(nodes[1])])
    #expect(try found.table(columns: 2) == expected.table(columns: 2), "seed \(seed)")
  }
}
