/// What a person says about a place: a fragment's or segment's number, or a voxel.
public enum EditEnd: Sendable, Equatable {
  /// A final fragment, which stands for its segment too; or a segment.
  case id(Int64)
  case voxel(z: Int32, y: Int32, x: Int32)
  /// Several fragments of one segment.
  case fragments([Int64])
}

/// A correction, as the SQL functions of the same names take it.
public struct Edit: Sendable, Equatable {
  public enum Action: String, Sendable, CaseIterable { case merge, split, confirm, lock, annotate }
  public var action: Action
  public var volume: String
  public var a: EditEnd
  /// For merge, confirm, and split between two places.
  public var b: EditEnd?
  public var reason: String
  /// Who decided; nil: the database user.
  public var actor: String?
  public init(action: Action, volume: String, a: EditEnd, b: EditEnd? = nil, reason: String, actor: String? = nil) {
    self.action = action
    self.volume = volume
    self.a = a
    self.b = b
    self.reason = reason
    self.actor = actor
  }
}

extension Record {
  /// Makes a correction. In a transaction of the caller, or by itself.
  /// - Returns: the number of its operation.
  /// - Throws: `.server` with a sentence that names the argument; the transaction, or its savepoint, is to be undone.
  public func edit(_ edit: Edit) throws(DatabaseError) -> Int64 {
    let tail: [Parameter] = [.text(edit.reason), .text(optional: edit.actor)]
    let a = try place(edit.a, edit.volume, "a")
    let b = try edit.b.map { (end) throws(DatabaseError) in try place(end, edit.volume, "b") }
    switch edit.action {
    case .merge:
      return try call(
        "select merge($1, $2::bigint, $3::bigint, $4, $5)",
        [.text(edit.volume), .int(a.segment), .int(b?.segment ?? 0)] + tail)
    case .split:
      if case .fragments(let list) = edit.a {
        return try call(
          "select split($1, $2::bigint, $3::bigint[], $4, $5)",
          [.text(edit.volume), .int(a.segment), .ints(list)] + tail)
      }
      return try call(
        "select split($1, $2::bigint, $3::bigint, $4::bigint, $5, $6)",
        [.text(edit.volume), .int(a.segment), .int(a.fragment), .int(b?.fragment ?? 0)] + tail)
    case .confirm:
      return try call(
        "select confirm($1, $2::bigint, $3::bigint, $4, $5)",
        [.text(edit.volume), .int(a.fragment), .int(b?.fragment ?? 0)] + tail)
    case .lock:
      return try call("select lock($1, $2::bigint, $3, $4)", [.text(edit.volume), .int(a.segment)] + tail)
    case .annotate:
      return try call("select annotate($1, $2::bigint, $3, $4)", [.text(edit.volume), .int(a.segment)] + tail)
    }
  }

  private func call(_ sql: String, _ parameters: [Parameter]) throws(DatabaseError) -> Int64 {
    try connection.execute(sql, parameters).int(0, 0)
  }

  /// The segment that a place is of now, and the fragment there.
  private func place(
    _ end: EditEnd, _ volume: String, _ argument: String
  ) throws(DatabaseError) -> (segment: Int64, fragment: Int64) {
    let number = try connection.execute("select volume_number($1)", [.text(volume)]).int(0, 0)
    switch end {
    case .id(let id):
      let live = try connection.execute("select live_segment($1::integer, $2)", [.int(number), .int(id)]).optionalInt(
        0, 0)
      return (live ?? id, id)
    case .fragments(let list):
      let first = list.first ?? 0
      let live = try connection.execute("select live_segment($1::integer, $2)", [.int(number), .int(first)])
      return (try live.optionalInt(0, 0) ?? first, first)
    case .voxel(let z, let y, let x):
      let segment = try connection.execute(
        "select segment_at($1, $2::integer, $3::integer, $4::integer)", [.text(volume), .int(z), .int(y), .int(x)]
      ).optionalInt(0, 0)
      let fragment = try connection.execute(
        "select fragment_of_point($1::integer, $2, array[$3::integer, $4::integer, $5::integer], $6)",
        [.int(number), .int(optional: segment), .int(z), .int(y), .int(x), .text(argument)]
      ).int(0, 0)
      // Without a segment there is no fragment, which the function has said.
      return (segment ?? fragment, fragment)
    }
  }
}
