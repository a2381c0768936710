internal import CLinux
import Glibc

/// Asks the program `fgnet-hdf5` what is in an HDF5 file. The library is not made for damaged or hostile files: what crashes or hangs it
/// ends that program, and the file is set aside (docs/decisions/0007-hdf5-apart.md).
enum HDF5Helper {
  /// A byte on the disk stands for at most so many bytes of pixels.
  private static let largestExpansion = 4096

  /// The helper lies beside the running program.
  private static let program = Programs.path(beside: "fgnet-hdf5")

  /// Finds the dataset.
  static func describe(_ path: String, dataset: String?, fileSize: Int) throws(FormatFault) -> HDF5Picture {
    let names = dataset.map { [$0] } ?? LabelSource.usualImageDatasets
    var answer = [UInt8](repeating: 0, count: 4096)
    let run = answer.withUnsafeMutableBytes { Self.run(["describe", "0", path] + names, into: $0) }
    let text = String(decoding: answer.prefix(run.count), as: UTF8.self)
    guard let description = HDF5Description(text) else { throw .unusable(run.reason(text)) }
    if let fault = description.fault { throw description.isIncomplete ? .incomplete(fault) : .unusable(fault) }
    guard names.indices.contains(description.dataset), let facts = description.facts else {
      throw .unusable(run.reason(""))
    }
    try ImageProbe.check(height: facts.height, width: facts.width)
    let stored = min(max(description.stored, 0), fileSize)
    let plane = facts.height * facts.width * facts.pixels.bytes
    let (decoded, overflow) = plane.multipliedReportingOverflow(by: facts.sections)
    guard !overflow, decoded / largestExpansion <= stored else {
      throw .unusable(
        "\(stored) bytes cannot hold \(facts.sections) sections of \(facts.width) x \(facts.height) pixels")
    }
    return HDF5Picture(dataset: names[description.dataset], facts: facts)
  }

  /// Reads one plane.
  static func read(
    _ path: String, _ picture: HDF5Picture, plane: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(VolumeError) {
    let run = Self.run(["read", String(buffer.count), path, picture.dataset, String(plane)], into: buffer)
    guard run.count == buffer.count, run.status == 0 else { throw .corrupt(path: path, reason: run.reason("")) }
  }

  /// Reads one plane of `bytes` in bands of `bandBytes`; the last may be shorter.
  static func read(
    _ path: String, _ picture: HDF5Picture, plane: Int, bytes: Int, bandBytes: Int,
    _ take: (UnsafeRawBufferPointer) -> Void
  ) throws(VolumeError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bandBytes, alignment: 64)
    defer { buffer.deallocate() }
    let arguments = ["read", String(bytes), path, picture.dataset, String(plane)]
    var run = Run(count: 0, status: -1)
    if let child = Child(program, arguments) {
      while run.count < bytes {
        let band = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(bandBytes, bytes - run.count)])
        let got = child.read(into: band)
        run.count += got
        guard got == band.count else { break }
        take(UnsafeRawBufferPointer(band))
      }
      run.status = child.end()
    }
    guard run.count == bytes, run.status == 0 else { throw .corrupt(path: path, reason: run.reason("")) }
  }

  /// What became of the program.
  private struct Run {
    var count: Int
    /// As `waitpid` gives it; -1 when it could not be started.
    var status: Int32

    func reason(_ text: String) -> String {
      if status == -1 { return "the program \(HDF5Helper.program) cannot be run, which reads HDF5 files; install it" }
      let signal = status & 0x7F
      if signal == SIGXCPU || signal == SIGKILL { return "HDF5 does not come to an end with it" }
      if signal != 0 { return "HDF5 crashes on it (signal \(signal))" }
      return text.isEmpty ? "HDF5 cannot read its pixels" : "HDF5 says nothing of use about it"
    }
  }

  /// Runs the helper and takes what it writes, as far as the buffer goes.
  private static func run(_ arguments: [String], into buffer: UnsafeMutableRawBufferPointer) -> Run {
    guard let child = Child(program, arguments) else { return Run(count: 0, status: -1) }
    let count = child.read(into: buffer)
    return Run(count: count, status: child.end())
  }

  /// The running helper.
  private struct Child {
    private let output: Int32
    private let process: pid_t

    /// nil when it cannot be started.
    init?(_ program: String, _ arguments: [String]) {
      var ends: [Int32] = [-1, -1]
      guard clinux_pipe(&ends) == 0 else { return nil }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
      // Nothing of the daemon's: what runs on a hostile file must not reach its database or its locks.
      clinux_spawn_close_from(&actions, STDERR_FILENO + 1)
      defer { posix_spawn_file_actions_destroy(&actions) }
      let words = ([program] + arguments).map { strdup($0) } + [nil]
      defer { for word in words { free(word) } }
      var child: pid_t = 0
      let failed = posix_spawn(&child, program, &actions, nil, words, environ)
      close(ends[1])
      guard failed == 0 else {
        close(ends[0])
        return nil
      }
      output = ends[0]
      process = child
    }

    /// Fills the buffer, as far as there is something; returns how many bytes that were.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
      var done = 0
      while done < buffer.count {
        let got = Glibc.read(output, buffer.baseAddress! + done, buffer.count - done)
        if got < 0 && errno == EINTR { continue }
        if got <= 0 { break }
        done += got
      }
      return done
    }

    /// Waits for its end; returns what `waitpid` gives.
    func end() -> Int32 {
      // It writes into a closed pipe if it has more to say.
      close(output)
      var status: Int32 = -1
      while waitpid(process, &status, 0) < 0, errno == EINTR {}
      return status
    }
  }
}

/// The helper's answer to `describe`: lines of a key and its values.
struct HDF5Description {
  /// Place in the list of names it was given.
  var dataset = -1
  var facts: ImageFacts?
  /// Bytes on the disk.
  var stored = 0
  var fault: String?
  var isIncomplete = false

  /// nil unless the text is a whole answer, which ends in a line `end`.
  init?(_ text: String) {
    var shape: [Int] = []
    var pixels: PixelType?
    var size: PixelSize?
    let lines = text.split(separator: "\n")
    guard lines.last == "end" else { return nil }
    for line in lines.dropLast() {
      let words = line.split(separator: " ", maxSplits: 1)
      guard words.count == 2 else { return nil }
      let values = words[1].split(separator: " ")
      switch words[0] {
      case "dataset": dataset = Int(words[1]) ?? -1
      case "shape": shape = values.compactMap { Int($0) }
      case "type": pixels = PixelType(rawValue: String(words[1]))
      case "stored": stored = Int(words[1]) ?? 0
      case "nanometres":
        let numbers = values.compactMap { Double($0) }
        if numbers.count == 3 { size = PixelSize(z: numbers[0], y: numbers[1], x: numbers[2]) }
      case "fault": fault = String(words[1])
      case "incomplete":
        fault = String(words[1])
        isIncomplete = true
      default: return nil
      }
    }
    if let pixels, shape.count == 3, shape.allSatisfy({ $0 > 0 }) {
      facts = ImageFacts(sections: shape[0], height: shape[1], width: shape[2], pixels: pixels, pixelSize: size)
    }
    if fault == nil, facts == nil { return nil }
  }
}
