import Domain
import DB
import Foundation
import Intake
import Logging
import Simulator
import Synchronization
import Testing
import Volumes

@testable import Daemon

/// The intake of a volume without the rest of the daemon: a folder, a thread, an inbox, and what came of it.
final class IntakeBench {
  let folder: String
  var watched: String
  let inbox: Inbox
  let journal = Journal()
  private(set) var offered: [OfferedFile] = []
  private(set) var notices: [IntakeNotice] = []
  private(set) var contents = Inbox.Contents()
  private var threads: [IntakeThread] = []

  init(patience: Double = 60) throws {
    folder = NSTemporaryDirectory() + "fgnetd-test-" + UUID().uuidString
    watched = folder + "/watched"
    inbox = Inbox(patience: patience)
    try FileManager.default.createDirectory(atPath: watched, withIntermediateDirectories: true)
    // The private server's user, and the test of permissions, go through it.
    chmod(folder, 0o755)
  }

  deinit {
    IntakeThread.stop(threads)
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Starts an intake and waits for its first look.
  /// - Parameters:
  ///   - interval: seconds between scans; scans at longer intervals than the test leave it all to events.
  ///   - program: the watcher.
  @discardableResult
  func start(
    _ name: String = "test", folder: String? = nil, known: Set<FileStamp> = [], setAside: Set<String> = [],
    interval: Double = 0.05, settle: Double = 0.05, stack: ImageOptions.Stack = .refuse, waits: Bool = true,
    view: FolderView = FolderView(), program: String? = nil
  ) throws -> IntakeThread {
    var volume = DaemonConfiguration.Volume(
      name: name, folder: folder ?? watched, pattern: DaemonConfiguration.defaultPattern, voxelSize: (30, 6, 6),
      missingAfter: nil)
    volume.images.stack = stack
    let intake = DaemonConfiguration.Intake(
      scanInterval: interval, settle: settle, incompleteDeadline: 600, ignore: [".*", "*.tmp", "*.part"])
    let thread = try IntakeThread(
      volume, intake, known: known, setAside: setAside, inbox: inbox,
      log: Logger(label: "test") { _ in ReloadTests.Lines(journal: self.journal, logLevel: .info) }, view: view,
      program: program ?? Self.watcherProgram)
    threads.append(thread)
    thread.start()
    if waits { IntakeThread.waitForFirstLook([thread]) }
    return thread
  }

  func stop() {
    IntakeThread.stop(threads)
    threads = []
  }

  /// The watcher, beside the tests or in the build folder.
  static let watcherProgram: String = {
    let beside = IntakeThread.watcherProgram
    return access(beside, X_OK) == 0 ? beside : Bench.root + ".build/debug/fgnet-watch"
  }()

  /// Takes what comes until `done` holds; false after a minute.
  func take(until done: (IntakeBench) -> Bool) -> Bool {
    let end = monotonicSeconds() + 60
    while !done(self) {
      if monotonicSeconds() > end { return false }
      contents = inbox.take(timeout: 0.05)
      offered += contents.offered
      notices += contents.notices
    }
    return true
  }

  var names: [String] { offered.map { String($0.path.utf8.dropFirst(watched.utf8.count + 1)) ?? "" } }
  var refusals: [RefusedFile] {
    notices.compactMap { if case .refused(let file) = $0 { file } else { nil } }
  }
  var gone: [String] { notices.compactMap { if case .gone(let path) = $0 { path } else { nil } } }
  var report: IntakeReport? { contents.reports["test"] }

  func path(_ name: String) -> String { watched + "/" + name }

  /// A whole picture of noise, small if `side` is.
  static func picture(_ side: Int = 4, seed: UInt64 = 1) throws -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    let file = NSTemporaryDirectory() + "fgnetd-test-" + UUID().uuidString + ".png"
    defer { unlink(file) }
    let pixels = (0..<side * side).map { _ in UInt8.random(in: 0...255, using: &generator) }
    try PNGWriter.write(gray: .init(height: side, width: side, storage: pixels), to: file)
    return Array(try Data(contentsOf: URL(fileURLWithPath: file)))
  }

  /// Writes and closes a file; the name may be any bytes.
  func put(_ bytes: [UInt8], _ name: [UInt8]) throws {
    let descriptor = open(
      (Array(watched.utf8) + [0x2F] + name).map { CChar(bitPattern: $0) } + [0], O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw OperatorError("open: \(errno)") }
    defer { close(descriptor) }
    guard write(descriptor, bytes, bytes.count) == bytes.count else { throw OperatorError("write: \(errno)") }
  }

  func put(_ bytes: [UInt8], _ name: String) throws { try put(bytes, Array(name.utf8)) }

  /// Makes an executable script.
  func script(_ text: String) throws -> String {
    let path = folder + "/" + UUID().uuidString
    try Data(("#!/bin/sh\n" + text).utf8).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o755)
    return path
  }
}

/// Runs `body` without root's privilege to read everything. On this thread only.
func unprivileged<T>(_ body: () throws -> T) throws -> T {
  guard geteuid() == 0 else { return try body() }
  typealias Call = @convention(c) (UInt32) -> Int32
  // Not among what Swift sees of Glibc.
  guard let symbol = dlsym(nil, "setfsuid") else { throw OperatorError("no setfsuid") }
  let setfsuid = unsafeBitCast(symbol, to: Call.self)
  _ = setfsuid(65534)
  defer { _ = setfsuid(0) }
  return try body()
}
