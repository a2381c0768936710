import Domain
import Foundation
import Synchronization

/// A stage that is a program: started, told its options, kept between calls, ended when it fails, and started again.
///
/// Unchecked: the process, what is counted and `goesOn` are under `lock`.
final class CommandStage: ExternalRunner, @unchecked Sendable {
  /// Seconds that a start may take, whatever the time limit: models are loaded meanwhile.
  static let startTime = 120.0
  static let longestPause = 30.0

  let reach: ExternalReach
  private let source: ExternalSource
  private let command: ExternalSource.Command
  /// The message that tells it its options.
  private let configure: [UInt8]
  private let log: @Sendable (String) -> Void
  private let isCancelled = Atomic(false)
  private let lock = NSLock()
  private var process: CommandProcess?
  private var goesOn: @Sendable () -> Bool = { true }
  private var failures = 0
  private var notBefore = 0.0
  private var calls = 0

  /// Asks a program what it is, and ends it.
  static func describe(
    _ source: ExternalSource, _ command: ExternalSource.Command, log: @escaping @Sendable (String) -> Void
  ) throws(StageError) -> ExternalDescription {
    do throws(CommandFault) {
      let process = try CommandProcess(command, log: log)
      return try describe(process, source, command, goesOn: { true })
    } catch {
      throw StageError(stage: source.name, reason: error.reason, isOutage: true)
    }
  }

  /// Starts the program with its options.
  /// - Parameter options: checked against its description.
  init(
    _ source: ExternalSource, _ command: ExternalSource.Command, options: [(String, OptionValue)],
    volume: ExternalVolume, log: @escaping @Sendable (String) -> Void
  ) throws(StageError) {
    self.source = source
    self.command = command
    self.log = log
    let size = volume.voxelSize
    configure = CommandHeaders.request(
      "configure",
      [
        "options": Dictionary(uniqueKeysWithValues: options.map { ($0, $1.json) }), "volume": volume.name,
        "voxel_size_nm": [size.z, size.y, size.x],
      ])
    do throws(CommandFault) {
      let (process, reach) = try Self.start(source, command, configure, log: log, goesOn: { true })
      self.process = process
      self.reach = reach
    } catch {
      throw StageError(stage: source.name, reason: error.reason, isOutage: true)
    }
  }

  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) { lock.withLock { self.goesOn = goesOn } }

  func cancel() { isCancelled.store(true, ordering: .sequentiallyConsistent) }

  func answer(_ call: ExternalCall) throws(StageError) -> ExternalAnswer {
    lock.lock()
    defer { lock.unlock() }
    let process = try running()
    do throws(CommandFault) {
      calls += 1
      let answer = try ask(process, call)
      failures = 0
      return answer
    } catch {
      // Whatever it was: the next call finds a fresh one.
      process.kill()
      self.process = nil
      failed()
      throw StageError(stage: source.name, reason: error.reason)
    }
  }

  // MARK: The process

  /// Under the lock.
  private func isWanted() -> Bool { !isCancelled.load(ordering: .sequentiallyConsistent) && goesOn() }

  private func running() throws(StageError) -> CommandProcess {
    if let process { return process }
    while monotonicSeconds() < notBefore, isWanted() {
      usleep(20_000)
    }
    do throws(CommandFault) {
      let (process, reach) = try Self.start(
        source, command, configure, log: log, goesOn: { [self] in isWanted() })
      guard reach == self.reach else {
        throw CommandFault("it looks at \(reach) after a restart, but at \(self.reach) before; restart the daemon")
      }
      self.process = process
      return process
    } catch {
      failed()
      throw StageError(stage: source.name, reason: error.reason, isOutage: true)
    }
  }

  private func failed() {
    failures += 1
    let pause = min(Self.longestPause, command.firstPause * Double(1 << min(failures - 1, 10)))
    notBefore = monotonicSeconds() + pause
  }

  private static func start(
    _ source: ExternalSource, _ command: ExternalSource.Command, _ configure: [UInt8],
    log: @escaping @Sendable (String) -> Void, goesOn: @escaping () -> Bool
  ) throws(CommandFault) -> (CommandProcess, ExternalReach) {
    let process = try CommandProcess(command, log: log)
    _ = try describe(process, source, command, goesOn: goesOn)
    let answer = try process.exchange(
      configure, watch: watch(startTime, command, goesOn)
    ).header
    if let refusal = CommandHeaders.refusal(answer) { throw CommandFault("it refuses its options: \(refusal)") }
    return (process, try ExternalReach(json: answer, kind: source.kind))
  }

  private static func describe(
    _ process: CommandProcess, _ source: ExternalSource, _ command: ExternalSource.Command,
    goesOn: @escaping () -> Bool
  ) throws(CommandFault) -> ExternalDescription {
    let answer = try process.exchange(
      CommandHeaders.request("describe", ["protocol": CommandHeaders.version]),
      watch: watch(startTime, command, goesOn)
    ).header
    if let refusal = CommandHeaders.refusal(answer) { throw CommandFault("it cannot say what it is: \(refusal)") }
    let description = try ExternalDescription(json: answer)
    guard description.kind == source.kind else {
      throw CommandFault(
        "it is a stage of the kind \(description.kind.rawValue), but configured as \(source.kind.rawValue)")
    }
    return description
  }

  private static func watch(
    _ least: Double, _ command: ExternalSource.Command, _ goesOn: @escaping () -> Bool
  ) -> CommandProcess.Watch {
    CommandProcess.Watch(
      deadline: monotonicSeconds() + max(least, command.timeLimit), goesOn: goesOn)
  }

  // MARK: A call

  private func ask(_ process: CommandProcess, _ call: ExternalCall) throws(CommandFault) -> ExternalAnswer {
    let (arrays, members, expected) = CommandCalls.request(call)
    var all = members
    all["id"] = calls
    let watch = Self.watch(0, command, { [self] in isWanted() })
    let (header, received) = try process.exchange(
      CommandHeaders.request("run", all, arrays: arrays), arrays, expected: expected, watch: watch)
    if let refusal = CommandHeaders.refusal(header) { throw CommandFault(refusal) }
    guard header["id"] as? Int == calls else {
      throw CommandFault(
        "it answered request \(CommandHeaders.readable("\(header["id"] ?? "none")")) instead of \(calls)")
    }
    return CommandCalls.answer(call, received)
  }
}

/// Calls as messages.
enum CommandCalls {
  /// The arrays of a request, the other members of its header, and the arrays its answer has.
  static func request(_ call: ExternalCall) -> (arrays: [StageArray], members: [String: Any], expected: [ExpectedArray])
  {
    switch call {
    case .denoise(let image):
      let shape = [image.height, image.width]
      return (
        [StageArray("image", shape, [.float32(image.storage)])], [:],
        [ExpectedArray(name: "image", shape: shape, numbers: [.float32])]
      )
    case .affinity(let images, let z, let index):
      let (height, width) = (images[index].height, images[index].width)
      return (
        [StageArray("images", [images.count, height, width], images.map { .float32($0.storage) })],
        ["z": z.map(Int.init), "index": index],
        [ExpectedArray(name: "affinities", shape: [3, height, width], numbers: [.uint8, .float32])]
      )
    case .watershed(let map):
      return (
        [
          StageArray(
            "affinities", [3, map.height, map.width],
            [.uint8(map.z.storage), .uint8(map.y.storage), .uint8(map.x.storage)])
        ], [:], [ExpectedArray(name: "labels", shape: [map.height, map.width], numbers: [.uint32])]
      )
    case .agglomerate(let window):
      let decisions = window.decisions.reduce(0, +)
      return (
        [
          StageArray("fragment_start", .int64(window.fragmentStart)),
          StageArray("fragments", .uint64(window.fragments)),
          StageArray("areas", .int64(window.areas)), StageArray("edge_start", .int64(window.edgeStart)),
          StageArray("a", .uint64(window.a)), StageArray("b", .uint64(window.b)),
          StageArray("histogram_start", .int64(window.histogramStart)), StageArray("bins", .uint8(window.bins)),
          StageArray("counts", .uint32(window.counts)),
        ], ["z": window.z.map(Int.init), "decided": [window.decided.lowerBound, window.decided.upperBound]],
        [
          ExpectedArray(name: "accepted", shape: [decisions], numbers: [.uint8]),
          ExpectedArray(name: "scores", shape: [decisions], numbers: [.float32]),
        ]
      )
    }
  }

  /// - Parameter arrays: those that `request` expects.
  static func answer(_ call: ExternalCall, _ arrays: [ReceivedArray]) -> ExternalAnswer {
    switch call {
    case .denoise: .image(arrays[0].values(Float.self))
    case .affinity:
      arrays[0].number == .uint8
        ? .affinities(arrays[0].values(UInt8.self)) : .affinityFractions(arrays[0].values(Float.self))
    case .watershed: .labels(arrays[0].values(UInt32.self))
    case .agglomerate:
      .decisions(accepted: arrays[0].values(UInt8.self), scores: arrays[1].values(Float.self))
    }
  }
}
