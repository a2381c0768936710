/// An alarm of a daemon, for the table `alarm` and whoever listens to `fgnet_alarm`.
public struct AlarmNote: Sendable, Equatable {
  /// `intake`, `database`, `disk` or `stage`.
  public var kind: String
  /// A sentence for people.
  public var text: String
  /// Seconds since 1970.
  public var raisedAt: Double
  /// Seconds since 1970; nil while it stands.
  public var endedAt: Double?
  public init(kind: String, text: String, raisedAt: Double, endedAt: Double? = nil) {
    self.kind = kind
    self.text = text
    self.raisedAt = raisedAt
    self.endedAt = endedAt
  }
}

extension Record {
  /// Records that an alarm was raised, says something else, or ended.
  /// - Parameter source: the daemon; it has one open row of each kind at most.
  public func note(_ alarm: AlarmNote, source: String) throws(DatabaseError) {
    try connection.execute(
      """
      insert into alarm (source, kind, text, raised_at) values ($1, $2, $3, to_timestamp($4))
      on conflict (source, kind) where ended_at is null do update set text = excluded.text
      """, [.text(source), .text(alarm.kind), .text(alarm.text), .double(alarm.raisedAt)])
    if let end = alarm.endedAt {
      try connection.execute(
        """
        update alarm set ended_at = greatest(to_timestamp($3), raised_at)
        where source = $1 and kind = $2 and ended_at is null
        """, [.text(source), .text(alarm.kind), .double(end)])
    }
  }

  /// Ends alarms that a daemon left when it was killed.
  public func endAlarms(source: String) throws(DatabaseError) {
    try connection.execute(
      "update alarm set ended_at = greatest(now(), raised_at) where source = $1 and ended_at is null", [.text(source)])
  }
}
