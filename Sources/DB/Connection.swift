internal import CPostgres

/// One connection to PostgreSQL, used by one thread at a time.
///
/// A connection that is lost stays lost: make a new one.
public final class Connection {
  private let handle: OpaquePointer
  private var savepoints = 0

  /// Connects and sets the schema's search path.
  /// - Parameter conninfo: libpq's keywords or URL; passwords may come from libpq's own files.
  public init(_ conninfo: String) throws(DatabaseError) {
    let settings: [(String, String)] = [
      ("connect_timeout", "10"), ("fallback_application_name", "fgnetd"), ("keepalives_idle", "30"),
      ("keepalives_interval", "10"), ("keepalives_count", "3"), ("tcp_user_timeout", "60000"),
      ("dbname", conninfo), ("client_encoding", "UTF8"),
    ]
    let handle = withCStrings(settings.map(\.0)) { keywords in
      withCStrings(settings.map(\.1)) { values in PQconnectdbParams(keywords, values, 1) }
    }
    guard let handle else { throw .connectionFailed("out of memory") }
    self.handle = handle
    guard PQstatus(handle) == CONNECTION_OK else {
      let reason = oneLine(String(cString: PQerrorMessage(handle)))
      throw .connectionFailed(reason)
    }
    cpostgres_silence_notices(handle)
    // A server that does not hear from this program any more lets go of its locks in a minute. Nobody waits for a lock for long,
    // so that the daemon can be told to stop meanwhile.
    try script(
      """
      set search_path to fgnet; set datestyle to iso; set extra_float_digits to 1; set lock_timeout to '5s';
      set tcp_keepalives_idle to 30; set tcp_keepalives_interval to 10; set tcp_keepalives_count to 3
      """)
  }

  deinit { PQfinish(handle) }

  /// Whether the server was there at the last call.
  public var isConnected: Bool { PQstatus(handle) == CONNECTION_OK }
  /// Whether the next statement can be sent: connected, and no transaction open.
  public var isUsable: Bool { isConnected && !isInTransaction }
  /// Whether a transaction is open.
  public var isInTransaction: Bool { PQtransactionStatus(handle) != PQTRANS_IDLE }
  /// The server's version, such as 150020.
  public var serverVersion: Int { Int(PQserverVersion(handle)) }
  /// The server process of this connection.
  public var backendPID: Int32 { PQbackendPID(handle) }

  /// Runs one statement; `parameters` are bound to $1, $2, ...
  @discardableResult
  public func execute(_ sql: String, _ parameters: [Parameter] = []) throws(DatabaseError) -> QueryResult {
    let encoded = parameters.map(\.encoded)
    let formats = parameters.map { Int32($0.isBinary ? 1 : 0) }
    let lengths = encoded.map { Int32($0?.count ?? 0) }
    var pointers: [UnsafePointer<CChar>?] = []
    var owned: [UnsafeMutablePointer<CChar>] = []
    defer { for pointer in owned { pointer.deallocate() } }
    for bytes in encoded {
      guard let bytes else {
        pointers.append(nil)
        continue
      }
      let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(1, bytes.count))
      bytes.withUnsafeBytes {
        UnsafeMutableRawPointer(copy).copyMemory(from: $0.baseAddress ?? .init(copy), byteCount: $0.count)
      }
      owned.append(copy)
      pointers.append(UnsafePointer(copy))
    }
    let result = PQexecParams(handle, sql, Int32(parameters.count), nil, pointers, lengths, formats, 0)
    return try checked(result)
  }

  /// Runs several statements without parameters.
  public func script(_ sql: String) throws(DatabaseError) {
    _ = try checked(PQexec(handle, sql))
  }

  /// Runs `body` in a transaction: committed if it returns, undone if it throws. Inside another one, a savepoint.
  public func transaction<T>(_ body: () throws(DatabaseError) -> T) throws(DatabaseError) -> T {
    let nested = isInTransaction
    let name = "fgnet_\(savepoints)"
    savepoints += 1
    defer { savepoints -= 1 }
    // Whatever the server's default is: a statement sees what was committed before it, after a lock was waited for too.
    try script(nested ? "savepoint \(name)" : "begin isolation level read committed")
    let value: T
    do {
      value = try body()
    } catch {
      // The first failure is the one to report; on a lost connection the server undoes by itself.
      try? script(nested ? "rollback to savepoint \(name); release savepoint \(name)" : "rollback")
      throw error
    }
    if nested {
      try script("release savepoint \(name)")
    } else if try execute("commit").command != "COMMIT" {
      throw .unexpected("a transaction with a failed statement was undone at its end")
    }
    return value
  }

  /// Appends rows to a table.
  /// - Parameter target: table and columns, such as `fragment (volume_id, z)`; SQL, so never from outside.
  public func copyIn(_ target: String, _ rows: consuming CopyBuilder) throws(DatabaseError) {
    let begun = PQexec(handle, "copy \(target) from stdin (format binary)")
    guard let begun, PQresultStatus(begun) == PGRES_COPY_IN else {
      _ = try checked(begun)
      throw .unexpected("COPY did not begin")
    }
    PQclear(begun)
    let sent = rows.withData { bytes in
      var offset = 0
      while offset < bytes.count {
        let length = min(1 << 20, bytes.count - offset)
        let chunk = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)])
        let status = PQputCopyData(handle, chunk.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(length))
        if status != 1 { return false }
        offset += length
      }
      return PQputCopyEnd(handle, nil) == 1
    }
    guard sent else { throw failure(nil) }
    var problem: DatabaseError?
    while let result = PQgetResult(handle) {
      do {
        _ = try checked(result)
      } catch {
        problem = problem ?? error
      }
    }
    if let problem { throw problem }
  }

  /// Reads the output of a COPY ... TO STDOUT, piece by piece as the server sends it.
  /// - Parameters:
  ///   - statement: SQL, so never from outside; what it is about comes by `set_config`.
  ///   - take: gets whole rows; false ends the copy.
  /// - Returns: whether all of it was taken.
  @discardableResult
  public func copyOut(
    _ statement: String, _ take: (UnsafeRawBufferPointer) -> Bool
  ) throws(DatabaseError) -> Bool {
    let begun = PQexec(handle, statement)
    guard let begun, PQresultStatus(begun) == PGRES_COPY_OUT else {
      _ = try checked(begun)
      throw .unexpected("COPY did not begin")
    }
    PQclear(begun)
    var isWanted = true
    while true {
      var row: UnsafeMutablePointer<CChar>?
      let length = PQgetCopyData(handle, &row, 0)
      guard length > 0, let row else { break }
      if isWanted, !take(UnsafeRawBufferPointer(start: row, count: Int(length))) {
        isWanted = false
        cancel()
      }
      PQfreemem(row)
    }
    var problem: DatabaseError?
    while let result = PQgetResult(handle) {
      do { _ = try checked(result) } catch { problem = problem ?? error }
    }
    if isWanted, let problem { throw problem }
    return isWanted
  }

  /// Has the server end the statement that it is at.
  private func cancel() {
    guard let cancel = PQgetCancel(handle) else { return }
    var message = [CChar](repeating: 0, count: 256)
    PQcancel(cancel, &message, Int32(message.count))
    PQfreeCancel(cancel)
  }

  /// What the server has told of channels that this connection listens to, since the last call.
  public func notifications() throws(DatabaseError) -> [(channel: String, payload: String)] {
    guard PQconsumeInput(handle) == 1 else { throw failure(nil) }
    var told: [(channel: String, payload: String)] = []
    while let one = PQnotifies(handle) {
      told.append((String(cString: one.pointee.relname), String(cString: one.pointee.extra)))
      PQfreemem(one)
    }
    return told
  }

  private func checked(_ result: OpaquePointer?) throws(DatabaseError) -> QueryResult {
    guard let result else { throw failure(nil) }
    switch PQresultStatus(result) {
    case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return QueryResult(owning: result)
    default:
      let error = failure(result)
      PQclear(result)
      throw error
    }
  }

  /// The failure of the last call.
  private func failure(_ result: OpaquePointer?) -> DatabaseError {
    let state = result.flatMap { PQresultErrorField($0, 67 /* PG_DIAG_SQLSTATE 'C' */) }.map { String(cString: $0) }
    let primary = result.flatMap { PQresultErrorField($0, 77 /* PG_DIAG_MESSAGE_PRIMARY 'M' */) }
      .map { oneLine(String(cString: $0)) }
    if PQstatus(handle) != CONNECTION_OK {
      return .connectionLost(primary ?? oneLine(String(cString: PQerrorMessage(handle))))
    }
    guard let state else { return .unexpected(oneLine(String(cString: PQerrorMessage(handle)))) }
    return .server(sqlstate: state, message: primary ?? "no message")
  }
}

/// Lends an array of C strings that ends in a null pointer.
func withCStrings<T>(_ strings: [String], _ body: ([UnsafePointer<CChar>?]) -> T) -> T {
  let copies = strings.map { string in
    let utf8 = string.utf8CString
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: utf8.count)
    for (index, byte) in utf8.enumerated() { copy[index] = byte }
    return copy
  }
  defer { for copy in copies { copy.deallocate() } }
  return body(copies.map { UnsafePointer($0) } + [nil])
}
