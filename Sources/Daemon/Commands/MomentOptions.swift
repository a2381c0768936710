import ArgumentParser
import DB
import Domain

/// The options that name a moment of a volume's history.
struct MomentOptions: ParsableArguments {
  @Option(help: "As it was when this section first became final.") var asOfSection: Int32?
  @Option(help: "As it was at this time, such as 2026-05-01T12:00+02.") var asOfTime: String?
  @Option(help: "As it was at the end of this run of the daemon.") var asOfRun: Int64?
  @Option(help: "As it was after this operation.") var asOfOperation: Int64?

  func validate() throws {
    let given = [asOfSection != nil, asOfTime != nil, asOfRun != nil, asOfOperation != nil].count { $0 }
    if given > 1 {
      throw ValidationError("give one of --as-of-section, --as-of-time, --as-of-run and --as-of-operation.")
    }
  }

  /// The moment; nil for now.
  var moment: Moment? {
    if let asOfSection { return .section(asOfSection) }
    if let asOfTime { return .time(asOfTime) }
    if let asOfRun { return .run(asOfRun) }
    return asOfOperation.map { .operation($0) }
  }
}

extension Record {
  /// The operation that a moment comes after, or what is wrong with the moment in a sentence.
  func operation(_ volume: VolumeRow, at moment: Moment) throws -> Int64 {
    do { return try operation(volume: volume.name, at: moment) } catch .server(let state, let message)
      where ["22023", "P0002"].contains(state)
    {
      throw OperatorError(message, status: .noInput)
    } catch .server(let state, _) where ["22007", "22008", "22009"].contains(state) {
      throw OperatorError("--as-of-time is no time; write it as 2026-05-01T12:00+02", status: .usage)
    }
  }
}
