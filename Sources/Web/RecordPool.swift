import DB
import Glibc
import NIOPosix
import Synchronization

/// A few threads with a connection each, for everything that waits or takes long: queries, files, packing. They only read, stand
/// behind the pipeline's threads when cores are scarce, and no query runs for long.
final class RecordPool: Sendable {
  private let conninfo: String
  private let threads: NIOThreadPool
  private let idle = Mutex<[Seat]>([])

  /// A connection, handed from thread to thread but used by one at a time.
  private struct Seat: @unchecked Sendable {
    let record: Record
  }

  /// - Parameter conninfo: as libpq takes it.
  init(conninfo: String, threads count: Int = 2) {
    self.conninfo = conninfo
    threads = NIOThreadPool(numberOfThreads: count)
    threads.start()
  }

  func close() async {
    try? await threads.shutdownGracefully()
    idle.withLock { $0 = [] }
  }

  /// Does something on one of the threads, with a connection. All its queries see the record of one moment.
  func read<T: Sendable>(_ body: @escaping @Sendable (Record) throws -> T) async throws -> T {
    try await run { [self] in
      do {
        let seat = try idle.withLock { $0.popLast() } ?? opened()
        defer { if seat.record.connection.isUsable { idle.withLock { $0.append(seat) } } }
        let connection = seat.record.connection
        try connection.script("begin isolation level repeatable read read only")
        let result = Result { try body(seat.record) }
        // What was only read may be undone as well; after a failure nothing else is possible.
        if connection.isConnected { try connection.script("rollback") }
        return try result.get()
      } catch let error as DatabaseError {
        throw Self.webError(error)
      }
    }
  }

  /// Does something on one of the threads, without a connection.
  func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await threads.runIfActive {
      // 0: this thread alone, on Linux.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
      return try body()
    }
  }

  private func opened() throws -> Seat {
    let connection = try Connection(conninfo)
    try Access.workAsReader(connection)
    try connection.script(
      """
      set default_transaction_read_only = on; set statement_timeout = '20s';
      set idle_in_transaction_session_timeout = '60s'; set application_name = 'fgnetd http'
      """)
    return Seat(record: Record(connection))
  }

  private static func webError(_ error: DatabaseError) -> any Error {
    switch error.sqlstate {
    // What a caller asked for is wrong: the functions for people say how.
    case "22023", "P0002", "22003":
      if case .server(_, let message) = error { return WebError.badRequest(message) }
      return error
    case "57014": return WebError.unavailable("the database took more than 20 s")
    default: return error.isTransient ? WebError.unavailable("\(error)") : error
    }
  }
}
