import DB
import Domain
import Foundation

@testable import Daemon

/// A bench whose database is a server of its own, as a lab has one.
final class Laboratory {
  let bench: Bench
  let server: EmbeddedCluster
  /// For connections of others than the daemon.
  let conninfo: String

  init() throws {
    bench = try Bench(size: 96)
    var options = EmbeddedCluster.Options()
    options.settings = ["fsync": "off", "synchronous_commit": "off", "shared_buffers": "16MB"]
    server = EmbeddedCluster(directory: bench.folder + "/server", options: options)
    conninfo = try server.start()
    bench.configuration.databaseURL = conninfo
  }

  deinit { try? server.stop() }

  func script(_ sql: String) throws { try Connection(conninfo).script(sql) }

  /// A configuration file with a state directory of its own.
  func file(_ name: String) throws -> String {
    let path = "\(bench.folder)/\(name).yaml"
    let text = bench.configuration.text.replacing("\(bench.folder)/state", with: "\(bench.folder)/\(name)")
    try (text + "\ndatabase:\n  url: \"\(conninfo)\"\n").write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }
}
