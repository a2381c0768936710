internal import FoundationEssentials
internal import Glibc

/// The programs of one PostgreSQL version.
public struct PostgresInstallation: Sendable, Equatable {
  /// Directory that holds `initdb` and `postgres`.
  public var binaries: String
  /// Major version, such as 15.
  public var major: Int

  /// Finds PostgreSQL: the configured directory, else the newest in /usr/lib/postgresql, else the search path.
  /// - Parameters:
  ///   - configured: directory of the programs, from the configuration.
  ///   - wanted: major version that a data directory needs.
  ///   - root: directory with one `<major>/bin` for each version.
  ///   - searchPath: as in PATH.
  public static func find(
    configured: String? = nil, wanted: Int? = nil, root: String = "/usr/lib/postgresql", searchPath: String? = nil
  ) throws(DatabaseError) -> PostgresInstallation {
    var candidates: [String]
    if let configured {
      candidates = [configured]
    } else {
      let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
      candidates = versions.sorted(by: >).map { "\(root)/\($0)/bin" }
      let path = searchPath ?? getenv("PATH").map { String(cString: $0) } ?? ""
      candidates += path.split(separator: ":").map { String($0) }
    }
    let complete = candidates.filter { directory in
      ["initdb", "postgres"].allSatisfy { access("\(directory)/\($0)", X_OK) == 0 }
    }
    var found: [PostgresInstallation] = []
    for directory in complete {
      if let major = version(of: directory) { found.append(.init(binaries: directory, major: major)) }
    }
    if let wanted {
      if let match = found.first(where: { $0.major == wanted }) { return match }
      let there = found.first.map { "PostgreSQL \($0.major) is in \($0.binaries)" } ?? "none is installed"
      throw .cluster(
        "the private cluster was made by PostgreSQL \(wanted), but \(there): install the package postgresql-\(wanted)")
    }
    if let first = found.first { return first }
    if let configured {
      throw .cluster("PostgreSQL's initdb and postgres are not in \(configured): correct the configuration")
    }
    throw .cluster(
      "PostgreSQL is not installed: install the package postgresql, or name a server in the configuration")
  }

  /// Major version of the `postgres` in a directory.
  private static func version(of directory: String) -> Int? {
    guard let run = try? ChildProcess.capture("\(directory)/postgres", ["--version"], as: nil), run.status == 0
    else { return nil }
    // postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)
    guard let number = run.output.split(separator: " ").first(where: { $0.first?.isNumber == true }) else { return nil }
    return Int(number.prefix { $0.isNumber })
  }
}
