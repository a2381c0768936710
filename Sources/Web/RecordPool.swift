import DB
import Glibc
import NIOPosix
import Synchronization

/// A few threads with a connection each, for everything that waits: queries, files. They read only, stand behind the pipeline's
/// threads when cores are scarce, and no query runs for long.
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

  /// Does something on one of the threads, with a connection.
  func read<T: Sendable>(_ body: @escaping @Sendable (Record) throws -> T) async throws -> T {
    try await run { [self] in
      let seat = try idle.withLock { $0.popLast() } ?? opened()
      let result = Result { try body(seat.record) }
      if seat.record.connection.isConnected { idle.withLock { $0.append(seat) } }
      do { return try result.get() } catch let error as DatabaseError {
        throw error.isTransient ? WebError.unavailable("the database: \(error)") : error
      }
    }
  }

  /// Does something on one of the threads, without a connection.
  func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await threads.runIfActive {
      // Of this thread alone, on Linux.
      setpriority(PRIO_PROCESS, id_t(gettid()), 10)
      return try body()
    }
  }

  private func opened() throws -> Seat {
    do {
      let connection = try Connection(conninfo)
      try connection.script(
        "set default_transaction_read_only = on; set statement_timeout = '20s'; set application_name = 'fgnetd http'")
      return Seat(record: Record(connection))
    } catch let error as DatabaseError {
      throw WebError.unavailable("the database: \(error)")
    }
  }
}
