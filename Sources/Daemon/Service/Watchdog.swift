/// Decides whether the service manager's watchdog is fed: only while the work goes on.
///
/// It knows no clock. It is not fed again before every piece of work that was under way at the last feeding has ended or given
/// a sign of life since, so that a stage that hangs is found out however much is done beside it. The manager counts the time.
struct Watchdog {
  /// Signs that work under way had given by the last feeding.
  private var underWay: [WorkKind: Int] = [:]
  /// All signs by then.
  private var total = 0

  /// - Parameter isWaiting: nothing can be done before work that was handed out ends. Then there must be new signs: waiting for
  ///   work that is not there would go on for ever.
  mutating func isToBeFed(_ signs: [WorkKind: WorkSigns], isWaiting: Bool) -> Bool {
    guard underWay.allSatisfy({ signs[$0.key]?.count != $0.value }) else { return false }
    let sum = signs.values.reduce(0) { $0 + $1.count }
    if isWaiting, sum == total { return false }
    underWay = signs.filter(\.value.isBusy).mapValues(\.count)
    total = sum
    return true
  }
}
