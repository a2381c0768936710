import DB
import Synchronization

/// How many segments were born, merged and split because of each section. Counted once and then continued, a few operations
/// at a time, since a large volume has tens of millions of events.
final class EventHistory: Sendable {
  struct Counts: Sendable, Encodable {
    var z: Int32
    var born = 0
    var merged = 0
    var split = 0
  }

  private struct State {
    var operation: Int64 = 0
    var byZ: [Int32: Counts] = [:]
  }

  /// Operations counted at a call.
  private static let step: Int64 = 2000
  private let states = Mutex<[Int64: State]>([:])

  struct Answer: Encodable {
    /// Counted up to this operation; ask again if it is not the newest.
    var operation: Int64
    var isComplete: Bool
    var sections: [Counts]
  }

  func counts(_ record: Record, volume: Int64) throws -> Answer {
    let newest = try record.lastOperation(volume: volume) ?? 0
    let from = states.withLock { $0[volume]?.operation ?? 0 }
    let until = min(newest, from + Self.step)
    if until > from {
      let rows = try record.connection.execute(
        """
        select z, event, count(*) from lineage_event
        where volume_id = $1 and operation_id > $2 and operation_id <= $3 and event in ('born', 'merged', 'split')
        group by z, event
        """, [.int(volume), .int(from), .int(until)])
      var found: [(z: Int32, event: String, count: Int)] = []
      for row in 0..<rows.count {
        found.append((Int32(try rows.int(row, 0)), try rows.text(row, 1), Int(try rows.int(row, 2))))
      }
      states.withLock { states in
        // Another request may have counted the same meanwhile.
        guard states[volume]?.operation ?? 0 == from else { return }
        var state = states[volume] ?? State()
        for one in found {
          var counts = state.byZ[one.z] ?? Counts(z: one.z)
          switch one.event {
          case "born": counts.born += one.count
          case "merged": counts.merged += one.count
          default: counts.split += one.count
          }
          state.byZ[one.z] = counts
        }
        state.operation = until
        states[volume] = state
      }
    }
    return states.withLock { states in
      let state = states[volume] ?? State()
      return Answer(
        operation: state.operation, isComplete: state.operation >= newest,
        sections: state.byZ.values.sorted { $0.z < $1.z })
    }
  }
}
