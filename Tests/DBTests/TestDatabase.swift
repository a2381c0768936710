import DB
import Foundation
import Synchronization

/// A database of its own for each test, copied from a migrated template in a cluster that lives as long as the process.
final class TestDatabase {
  let connection: Connection
  let conninfo: String

  init(migrated: Bool = true) throws {
    let place = try TestCluster.shared.get()
    let name = "t\(TestCluster.number.add(1, ordering: .relaxed).newValue)"
    let administrator = try Connection(place)
    try TestCluster.making.withLock { (_) throws(DatabaseError) in
      try administrator.script("create database \(name) template \(migrated ? "migrated" : "template0")")
    }
    conninfo = place.replacingOccurrences(of: "dbname=fgnet", with: "dbname=\(name)")
    connection = try Connection(conninfo)
  }
}

enum TestCluster {
  static let number = Atomic<Int>(0)
  /// Copying a template needs it for itself.
  static let making = Mutex(())
  static let directory = "/tmp/fgnet-test-\(getpid())"
  static let cluster = EmbeddedCluster(directory: directory, options: fast)

  static var fast: EmbeddedCluster.Options {
    var options = EmbeddedCluster.Options()
    options.settings = ["fsync": "off", "synchronous_commit": "off", "shared_buffers": "16MB", "max_connections": "60"]
    return options
  }

  static let shared: Result<String, any Error> = Result {
    try removeLeftovers()
    let place = try cluster.start()
    atexit {
      try? TestCluster.cluster.stop()
      try? FileManager.default.removeItem(atPath: TestCluster.directory)
    }
    try Connection(place).script("create database migrated template template0")
    let template = try Connection(place.replacingOccurrences(of: "dbname=fgnet", with: "dbname=migrated"))
    try Migrator.embedded.migrate(template)
    return place
  }

  /// Clusters of test processes that were killed.
  private static func removeLeftovers() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: "/tmp") where name.hasPrefix("fgnet-test-") {
      guard let pid = pid_t(name.dropFirst("fgnet-test-".count)), kill(pid, 0) != 0, errno == ESRCH else { continue }
      try? EmbeddedCluster(directory: "/tmp/\(name)").stop()
      try FileManager.default.removeItem(atPath: "/tmp/\(name)")
    }
  }
}

/// SplitMix64: the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

extension QueryResult {
  /// All values as text, null as "-".
  func table(columns: Int) throws -> [[String]] {
    try (0..<count).map { row in try (0..<columns).map { try optionalText(row, $0) ?? "-" } }
  }
}
