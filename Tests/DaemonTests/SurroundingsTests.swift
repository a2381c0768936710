import Domain
import DB
import Foundation
import Testing
import Volumes
import Web

@testable import Daemon

/// The program among mounts that come and go, and clocks that are set.
@Suite(.serialized) struct SurroundingsTests {
  static let quick = """
      agglomerate: {look_behind: 1, look_ahead: 0, agreement_shift: 0}
    intake: {scan_interval: 500ms, settle: 100ms}
    """

  /// A running daemon, and beside it a shell that does as it is told.
  final class Daemon {
    let bench: Bench
    private let process = Process()
    private let input = Pipe()
    private let errors: String

    /// - Parameters:
    ///   - before: shell commands; `$1` is the bench's folder.
    ///   - around: a program that starts the shell, with its arguments.
    init(_ bench: Bench, around: [String] = [], before: String = "", environment: [String: String] = [:]) throws {
      self.bench = bench
      errors = bench.folder + "/errors"
      let file = bench.folder + "/fgnetd.yaml"
      try bench.configuration.text.write(toFile: file, atomically: true, encoding: .utf8)
      let exports = environment.map { "\($0)='\($1)'; export \($0)" }.joined(separator: "\n")
      // Nothing waits for the daemon: the test runner's threads block SIGCHLD, and a child inherits that.
      let script = """
        \(before)
        exec 3<&0 2>>"$4"
        ( while read command <&3; do eval "$command"; done; kill $$ ) &
        \(exports)
        exec "$2" run --config "$3" 3<&-
        """
      let words = around + ["/bin/sh", "-c", script, "sh", bench.folder, ProgramTests.Program.path, file, errors]
      process.executableURL = URL(fileURLWithPath: words[0])
      process.arguments = Array(words.dropFirst())
      process.standardInput = input
      try process.run()
    }

    func tell(_ command: String) throws {
      try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    }

    /// Ends the daemon; returns its exit status, nil if it does not end within a minute.
    func stop() throws -> Int32? {
      try input.fileHandleForWriting.close()
      let end = monotonicSeconds() + 60
      while process.isRunning, monotonicSeconds() < end { usleep(20_000) }
      let hasEnded = !process.isRunning
      if !hasEnded { kill(process.processIdentifier, SIGKILL) }
      process.waitUntilExit()
      return hasEnded ? process.terminationStatus : nil
    }

    var log: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }
    var status: DaemonStatus? { DaemonStatus.read(from: bench.configuration.stateDirectory) }
    var alarm: String? { status?.alarms.first { $0.kind == "intake" }?.text }

    /// Waits until `done` holds; false after a minute and a half, or when the daemon has ended.
    func wait(until done: (Daemon) throws -> Bool) rethrows -> Bool {
      let end = monotonicSeconds() + 90
      while try !done(self) {
        if monotonicSeconds() > end || !process.isRunning { return false }
        usleep(20_000)
      }
      return true
    }

    func hasSections(_ count: Int) -> Bool {
      status?.volumes.first.map { $0.received + $0.provisional + $0.final == count } ?? false
    }
  }

  // MARK: Mounts

  /// As root in a name space for mounts; else in one for users too.
  static let unshare = ["/usr/bin/unshare"] + (geteuid() == 0 ? ["-m"] : ["-U", "-c", "-m", "--keep-caps"])

  static let canMount = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: unshare[0])
    process.arguments = unshare.dropFirst() + ["/bin/mount", "-t", "tmpfs", "none", "/mnt"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  /// A bind mount, whose mount point is on the same device, and a tmpfs, which is on another.
  @Test func aMountThatVanishesIsAnAlarmAndNothingIsDoneTwice() throws {
    try #require(Self.canMount, "needs name spaces for mounts: root, or users that may make them")
    let bench = try Bench(size: 96, stages: Self.quick)
    let disk = bench.folder + "/disk"
    for folder in [disk, bench.folder + "/copy"] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    func write(_ z: Int32) throws {
      try PNGWriter.write(gray: bench.volume.section(z).image, to: disk + "/s\(z).png")
    }
    for z in Int32(0)..<3 { try write(z) }
    let daemon = try Daemon(
      bench, around: Self.unshare, before: "mount --bind \"$1/disk\" \"$1/watched\" || exit 9")
    #expect(daemon.wait { $0.hasSections(3) }, "\(daemon.log)")
    #expect(daemon.status?.volumes.first?.intake?.fileSystem != nil)

    try daemon.tell("umount -l \"$1/watched\"")
    #expect(daemon.wait { $0.alarm?.contains("a disk seems not to be mounted") == true }, "\(daemon.log)")
    #expect(daemon.status?.state == "alarm" && daemon.hasSections(3))
    try write(3)
    try daemon.tell("mount --bind \"$1/disk\" \"$1/watched\"")
    #expect(daemon.wait { $0.alarm == nil && $0.hasSections(4) }, "\(daemon.log)")

    // The same files on another device: the disk was put into another computer and back.
    try daemon.tell("umount -l \"$1/watched\"")
    #expect(daemon.wait { $0.alarm != nil }, "\(daemon.log)")
    try daemon.tell(
      "mount -t tmpfs none \"$1/copy\" && cp -p \"$1/disk/\"* \"$1/copy\" && mount --move \"$1/copy\" \"$1/watched\"")
    #expect(daemon.wait { $0.alarm == nil && $0.status?.volumes.first?.intake?.fileSystem == "tmpfs" }, "\(daemon.log)")
    try daemon.tell("cp \"$1/disk/s3.png\" \"$1/watched/again3.png\"")
    #expect(daemon.wait { $0.log.contains("same bytes again") }, "\(daemon.log)")
    #expect(try daemon.stop() == 0)
    #expect(daemon.log.components(separatedBy: "same bytes again").count == 2, "\(daemon.log)")
    #expect(daemon.log.components(separatedBy: "received ").count == 5, "\(daemon.log)")
    #expect(try bench.query("select count(*) || ' ' || max(revision) from fgnet.section") == "4 1")
  }

  // MARK: Clocks

  /// A clock that was set back by an hour while something waited, or forward: waits end all the same, and not at once.
  @Test(arguments: [3600, -3600]) func aClockThatIsSetHoldsNothingUp(offset: Int) throws {
    let bench = try Bench(size: 96, stages: Self.quick)
    let (source, library) = (bench.folder + "/clock.c", bench.folder + "/clock.so")
    // Whoever computes by the wall clock when a wait is to end gets it wrong by the offset.
    let text = """
      #define _GNU_SOURCE
      #include <sys/syscall.h>
      #include <time.h>
      #include <unistd.h>
      int clock_gettime(clockid_t clock, struct timespec *time) {
        long status = syscall(SYS_clock_gettime, clock, time);
        if (clock == CLOCK_REALTIME) time->tv_sec += \(offset);
        return (int)status;
      }
      """
    try text.write(toFile: source, atomically: true, encoding: .utf8)
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    compiler.arguments = ["clang", "-shared", "-fPIC", "-o", library, source]
    try compiler.run()
    compiler.waitUntilExit()
    try #require(compiler.terminationStatus == 0)
    let daemon = try Daemon(bench, environment: ["LD_PRELOAD": library])
    try bench.write(0)
    #expect(daemon.wait { $0.hasSections(1) }, "\(daemon.log)")
    // While nothing happens, it goes round about once a second.
    var last: Date?
    for _ in 0..<3 {
      #expect(daemon.wait { $0.status.map { $0.writtenAt != last } ?? false }, "\(daemon.log)")
      last = daemon.status?.writtenAt
    }
    #expect(last.map { abs($0.timeIntervalSinceNow - Double(offset)) < 600 } == true)
    #expect(try daemon.stop() == 0)
  }
}
