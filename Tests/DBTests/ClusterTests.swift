import DB
import Foundation
import Testing

@Suite(.serialized) struct ClusterTests {
  /// A directory that is removed, with its server, at the end of the test.
  private func withDirectory(_ name: String, _ body: (String) async throws -> Void) async throws {
    let directory = "/tmp/fgnet-cluster-test-\(getpid())-\(name)"
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(directory))
    } catch {
      result = .failure(error)
    }
    try? EmbeddedCluster(directory: directory).stop()
    try? FileManager.default.removeItem(atPath: directory)
    try result.get()
  }

  private func kept(_ conninfo: String) throws -> Int64 {
    try Connection(conninfo).execute("select count(*) from public.kept").int(0, 0)
  }

  /// So that root can give commands to a daemon of another account: its server runs as the owner of the state directory.
  @Test func rootStartsItAsTheOwnerOfTheDirectoryAroundIt() async throws {
    try await withDirectory("owner") { state in
      try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
      let nobody = try #require(getpwnam("nobody")).pointee.pw_uid
      let owner = geteuid() == 0 ? nobody : geteuid()
      #expect(chown(state, owner, gid_t.max) == 0)
      let cluster = EmbeddedCluster(directory: state + "/postgres", options: TestCluster.fast)
      defer { try? cluster.stop() }
      try cluster.start()
      var info = stat()
      #expect(stat("/proc/\(try #require(cluster.processID))", &info) == 0 && info.st_uid == owner)
      #expect(stat(state + "/postgres", &info) == 0 && info.st_uid == owner)
    }
  }

  @Test func itComesBackAfterAKill() async throws {
    try await withDirectory("kill") { directory in
      var options = TestCluster.fast
      options.settings["synchronous_commit"] = "on"
      let cluster = EmbeddedCluster(directory: directory, options: options)
      #expect(!cluster.isRunning && cluster.conninfo == nil)
      let conninfo = try cluster.start()
      let connection = try Connection(conninfo)
      try connection.script("create table public.kept (a integer); insert into public.kept values (1)")
      let facts = try connection.execute(
        """
        select current_setting('listen_addresses'), current_setting('server_encoding'),
          current_setting('data_checksums'), current_setting('lc_collate')
        """)
      #expect(try facts.table(columns: 4) == [["", "UTF8", "on", "C"]])
      var info = stat()
      #expect(stat(directory + "/socket", &info) == 0 && info.st_mode & 0o777 == 0o700)
      let first = try #require(cluster.processID)
      #expect(try cluster.start() == conninfo && cluster.processID == first, "starting again does nothing")

      kill(first, SIGKILL)
      while cluster.isRunning { usleep(1000) }
      // Its server process ends as soon as it notices.
      let failure = #expect(throws: DatabaseError.self) {
        for _ in 0..<100_000 { try connection.execute("select 1") }
      }
      #expect(failure?.isTransient == true)
      try cluster.start()
      #expect(cluster.processID != first && !cluster.isAdopted)
      #expect(try kept(conninfo) == 1)

      try cluster.stop()
      #expect(!cluster.isRunning)
      #expect(throws: DatabaseError.self) { try Connection(conninfo) }
      try cluster.start()
      #expect(try kept(conninfo) == 1)
    }
  }

  @Test func aServerLeftByAKilledOwnerIsAdoptedAndStopped() async throws {
    try await withDirectory("owner") { directory in
      await #expect(processExitsWith: .signal(SIGKILL)) { [directory = directory as String] in
        let conninfo = try EmbeddedCluster(directory: directory, options: TestCluster.fast).start()
        try Connection(conninfo).script("create table public.kept (a integer); insert into public.kept values (1)")
        kill(getpid(), SIGKILL)
      }
      let cluster = EmbeddedCluster(directory: directory)
      let conninfo = try cluster.start()
      #expect(cluster.isAdopted)
      #expect(try kept(conninfo) == 1)
      let pid = try #require(cluster.processID)
      try cluster.stop()
      #expect(kill(pid, 0) != 0, "stopped although another process had started it")
      try cluster.start()
      #expect(!cluster.isAdopted)
      #expect(try kept(conninfo) == 1)
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user"))
  func anOrdinaryUserNeedsNoOther() async throws {
    try await withDirectory("nobody") { directory in
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        guard setgid(65534) == 0, setuid(65534) == 0 else { exit(3) }
        let cluster = EmbeddedCluster(directory: directory, options: TestCluster.fast)
        let owner = try Connection(try cluster.start()).execute("select current_user").text(0, 0)
        guard owner == "fgnet" else { exit(4) }
        try cluster.stop()
      }
    }
  }

  @Test func aLongPathGetsAShortSocket() async throws {
    let long = "long/" + String(repeating: "deep", count: 30)
    try await withDirectory("path") { directory in
      mkdir(directory, 0o755)
      let cluster = EmbeddedCluster(directory: "\(directory)/\(long)", options: TestCluster.fast)
      let conninfo = try cluster.start()
      let socket = try Connection(conninfo).execute("show unix_socket_directories").text(0, 0)
        .trimmingCharacters(in: ["\""])
      #expect(socket.utf8.count < 60 && !socket.hasPrefix(directory))
      var info = stat()
      #expect(lstat(socket, &info) == 0 && info.st_mode & 0o777 == 0o700)
      try cluster.stop()
      try FileManager.default.removeItem(atPath: socket)
    }
  }

  @Test func aLockFileOfAnotherProcessDoesNotStopIt() async throws {
    try await withDirectory("lock") { directory in
      let cluster = EmbeddedCluster(directory: directory, options: TestCluster.fast)
      try cluster.start()
      let lock = directory + "/data/postmaster.pid"
      var lines = try String(contentsOfFile: lock, encoding: .utf8).components(separatedBy: "\n")
      try cluster.stop()
      lines[0] = "\(getpid())"
      try lines.joined(separator: "\n").write(toFile: lock, atomically: false, encoding: .utf8)
      try cluster.start()
      #expect(!cluster.isAdopted && cluster.processID != getpid())
    }
  }

  @Test func theLogIsBounded() async throws {
    try await withDirectory("log") { directory in
      var options = TestCluster.fast
      options.logLimit = 2000
      let cluster = EmbeddedCluster(directory: directory, options: options)
      let connection = try Connection(try cluster.start())
      for _ in 0..<100 { #expect(throws: DatabaseError.self) { try connection.script("select nothing") } }
      let log = directory + "/postgres.log"
      var info = stat()
      #expect(stat(log, &info) == 0 && info.st_size > 2000)
      try cluster.start()
      #expect(stat(log, &info) == 0 && info.st_size <= 2000)
      #expect(stat(log + ".1", &info) == 0 && info.st_size > 0)
      #expect(throws: DatabaseError.self) { try connection.script("select nothing") }
      #expect(try String(contentsOfFile: log, encoding: .utf8).contains("ERROR"), "the server goes on writing")
    }
  }

  @Test func aClusterOfAnotherVersionIsNamed() async throws {
    try await withDirectory("version") { directory in
      let cluster = EmbeddedCluster(directory: directory, options: TestCluster.fast)
      try cluster.start()
      try cluster.stop()
      try "9".write(toFile: directory + "/data/PG_VERSION", atomically: false, encoding: .utf8)
      let failure = #expect(throws: DatabaseError.self) { try cluster.start() }
      #expect(failure?.description.contains("made by PostgreSQL 9") == true)
      #expect(failure?.description.contains("install the package postgresql-9") == true)
    }
  }

  @Test func aServerThatCannotStartSaysWhy() async throws {
    try await withDirectory("setting") { directory in
      var options = TestCluster.fast
      options.settings["shared_buffers"] = "nonsense"
      let failure = #expect(throws: DatabaseError.self) {
        try EmbeddedCluster(directory: directory, options: options).start()
      }
      #expect(failure?.description.contains("shared_buffers") == true)
      #expect(failure?.description.contains("\n") == false)
    }
  }

  @Test func anInitialisationCutShortIsDoneAgain() async throws {
    try await withDirectory("half") { directory in
      try FileManager.default.createDirectory(atPath: directory + "/data.new/base", withIntermediateDirectories: true)
      let cluster = EmbeddedCluster(directory: directory, options: TestCluster.fast)
      try cluster.start()
      #expect(!FileManager.default.fileExists(atPath: directory + "/data.new"))
      try cluster.stop()
      // Made by an initdb that outlived its program and the removal above.
      try FileManager.default.createDirectory(atPath: directory + "/data.new-7/base", withIntermediateDirectories: true)
      try cluster.start()
      #expect(!FileManager.default.fileExists(atPath: directory + "/data.new-7"))
    }
  }

  @Test func foreignFilesAreLeftAlone() async throws {
    try await withDirectory("foreign") { directory in
      try FileManager.default.createDirectory(atPath: directory + "/data", withIntermediateDirectories: true)
      try "mine".write(toFile: directory + "/data/thesis.txt", atomically: false, encoding: .utf8)
      let failure = #expect(throws: DatabaseError.self) { try EmbeddedCluster(directory: directory).start() }
      #expect(failure?.description.contains("move it away") == true)
      #expect(FileManager.default.fileExists(atPath: directory + "/data/thesis.txt"))
    }
    let failure = #expect(throws: DatabaseError.self) { try EmbeddedCluster(directory: "/proc/fgnet").start() }
    #expect(failure?.description.hasPrefix("the cluster's directory /proc/fgnet cannot be made") == true)
    #expect(throws: DatabaseError.self) { try EmbeddedCluster(directory: "relative").start() }
  }

  @Test func missingProgramsAreNamed() {
    let failure = #expect(throws: DatabaseError.self) {
      try PostgresInstallation.find(root: "/nonexistent", searchPath: "/nonexistent")
    }
    #expect(failure?.description.contains("install the package postgresql") == true)
    #expect(throws: DatabaseError.self) { try PostgresInstallation.find(configured: "/nonexistent") }
  }
}
