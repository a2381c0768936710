import Domain
import Foundation

/// Holds a stage, of ours or from outside, against the contract (docs/writing-a-stage.md).
public final class StageConformance {
  /// One thing that was looked at.
  public struct Check: Sendable, Equatable {
    public enum Verdict: String, Sendable { case passed, failed, note }
    public var name: String
    public var verdict: Verdict
    /// What was found, and for a failure what to do.
    public var text: String
  }

  private let registry: StageRegistry
  private let kind: StageKind
  private let name: String
  private let options: [String: OptionValue]
  private let isDeterministic: Bool
  private let megapixel: Int
  private let report: (Check) -> Void
  private var hasFailed = false

  /// - Parameters:
  ///   - registry: has the stage.
  ///   - options: as the configuration gives them.
  ///   - isDeterministic: what the stage says of itself.
  ///   - side: of the section that time is taken on.
  ///   - report: called with each check when it is done.
  public init(
    _ registry: StageRegistry, _ kind: StageKind, named name: String, options: [String: OptionValue],
    isDeterministic: Bool = true, side: Int = 1024, report: @escaping (Check) -> Void
  ) {
    self.registry = registry
    self.kind = kind
    self.name = name
    self.options = options
    self.isDeterministic = isDeterministic
    megapixel = side
    self.report = report
  }

  /// Runs the suite. Returns whether nothing failed.
  public func run() -> Bool {
    var subject: ConformanceSubject?
    check("is made") {
      let made = try make()
      subject = made
      return made.fingerprint
    }
    guard let subject else { return false }
    sizes(subject)
    determinism(subject)
    tiles(subject)
    strangeNumbers(subject)
    wrongOptions()
    cancellation()
    time(subject)
    return !hasFailed
  }

  private func make(_ more: [String: OptionValue] = [:]) throws -> ConformanceSubject {
    let options = options.merging(more) { $1 }
    return switch kind {
    case .denoise: .denoise(try registry.denoise(named: name, options: options, path: name))
    case .affinity: .affinity(try registry.affinity(named: name, options: options, path: name))
    case .watershed: .watershed(try registry.watershed(named: name, options: options, path: name))
    case .agglomerate: .agglomerate(try registry.agglomerate(named: name, options: options, path: name))
    }
  }

  // MARK: The checks

  private func sizes(_ subject: ConformanceSubject) {
    for (name, height, width) in [
      ("empty", 0, 0), ("one pixel", 1, 1), ("one row", 1, 19), ("one column", 19, 1), ("odd size", 37, 53),
      ("usual size", 128, 96),
    ] {
      check(name) {
        _ = try subject.output(ConformanceInput(height: height, width: width))
        return "\(height) x \(width) pixels"
      }
    }
    for content in [ConformanceInput.Content.black, .white] {
      check("\(content.rawValue) section") {
        _ = try subject.output(ConformanceInput(height: 48, width: 40, content: content))
        return "48 x 40 pixels"
      }
    }
  }

  private func determinism(_ subject: ConformanceSubject) {
    guard isDeterministic else {
      report(
        Check(name: "determinism", verdict: .note, text: "the stage says that its results differ from call to call"))
      return
    }
    let (input, other) = (ConformanceInput(height: 75, width: 90), ConformanceInput(height: 75, width: 90, seed: 9))
    check("determinism") {
      let first = try subject.output(input)
      _ = try subject.output(other)
      guard try subject.output(input) == first else {
        throw CommandFault(
          "the same input gave another result after another section: results must not depend on calls before")
      }
      guard try make().output(input) == first else {
        throw CommandFault("a stage made anew gave another result: seed what is random, and keep nothing between runs")
      }
      return "the same after other sections, and from a stage made anew"
    }
  }

  private func tiles(_ subject: ConformanceSubject) {
    let halo: Int
    switch subject {
    case .denoise(let stage): halo = stage.halo
    case .affinity(let stage): halo = stage.halo
    default: return
    }
    guard halo <= 400 else {
      let text =
        halo >= 1 << 20 ? "it looks at whole sections: it is never given parts" : "a halo of \(halo) is not tried"
      report(Check(name: "tile equals whole", verdict: .note, text: text))
      return
    }
    check("tile equals whole") {
      // Begins at multiples of 128, which every stage of ours is aligned to.
      let side = (2 * halo + 64 + 127) / 128 * 128
      let whole = ConformanceInput(height: side + 256, width: side + 128)
      var part = ConformanceInput(height: side, width: side)
      part.window = PlaneWindow(rows: 128..<128 + side, columns: 128..<min(128 + side, whole.width))
      part.width = part.window?.width ?? 0
      let (all, some) = (try subject.output(whole), try subject.output(part))
      let size = kind == .denoise ? 4 : 1
      for plane in 0..<(kind == .denoise ? 1 : 3) {
        for y in halo..<side - halo {
          for x in halo..<part.width - (128 + side < whole.width ? halo : 0) {
            let a = ((plane * whole.height + y + 128) * whole.width + x + 128) * size
            let b = ((plane * part.height + y) * part.width + x) * size
            guard all[a..<a + size].elementsEqual(some[b..<b + size]) else {
              throw CommandFault(
                "row \(y + 128), column \(x + 128) differs when only \(halo) pixels around it are given: raise the halo, or have none, and whole sections"
              )
            }
          }
        }
      }
      return "with the halo of \(halo) pixels that it asks for"
    }
  }

  private func strangeNumbers(_ subject: ConformanceSubject) {
    guard kind == .denoise || kind == .affinity else { return }
    check("pixels that are no numbers") {
      var text = "are taken for something"
      do { _ = try subject.output(ConformanceInput(height: 40, width: 44, content: .holes)) } catch {
        let refusal = (error as? StageError)?.reason ?? (error as? CommandFault)?.reason ?? "\(error)"
        guard !refusal.contains("ended by signal"), !refusal.contains("all must be numbers") else {
          throw CommandFault("\(refusal): take them for 0, or refuse the section with a sentence")
        }
        text = "are refused: \(refusal)"
      }
      _ = try subject.output(ConformanceInput(height: 40, width: 44))
      return text
    }
  }

  private func wrongOptions() {
    let table = registry.descriptions(of: kind).first { $0.name == name }?.options ?? []
    check("wrong options") {
      let unknown = registry.faults(
        kind, named: name, options: options.merging(["no_such": .int(1)]) { $1 }, path: name)
      guard unknown.count == 1 else { throw CommandFault("an unknown option is not refused: \(unknown)") }
      for option in table {
        guard let bad = option.type.misfit else { continue }
        let faults = registry.faults(
          kind, named: name, options: options.merging([option.name: bad]) { $1 }, path: name)
        guard faults.count == 1 else { throw CommandFault("option \(option.name) takes \(bad): \(faults)") }
      }
      return table.isEmpty ? "it has none" : "are refused: \(table.map(\.name).joined(separator: ", "))"
    }
    for option in table {
      for end in option.type.ends {
        check("option \(option.name) = \(end)") {
          do { _ = try make([option.name: end]).output(ConformanceInput(height: 33, width: 33)) } catch let error
            as OptionFaults
          {
            // A stage may refuse what does not go together, with a sentence.
            return "is refused: \(error)"
          }
          return "works"
        }
      }
    }
  }

  private func cancellation() {
    check("cancellation") {
      let subject = try make()
      guard let stage = subject.supervised else { return "it is ours, and brought to its end" }
      let began = monotonicSeconds()
      let thread = Thread {
        usleep(30_000)
        stage.cancel()
      }
      thread.start()
      var text = "ended by itself first"
      do { _ = try subject.output(ConformanceInput(height: 2048, width: 2048)) } catch { text = "ended the call" }
      let seconds = monotonicSeconds() - began
      guard seconds < 10 || text == "ended by itself first" else {
        throw CommandFault(
          "the call went on for \(Int(seconds)) s after it was cancelled: look at `cancel` at least once a second")
      }
      while !thread.isFinished { usleep(1000) }
      guard (try? subject.output(ConformanceInput(height: 8, width: 8))) == nil || kind == .agglomerate else {
        throw CommandFault("a call after the cancellation gave a result")
      }
      return text
    }
  }

  private func time(_ subject: ConformanceSubject) {
    check("time per megapixel") {
      let input = ConformanceInput(height: megapixel, width: megapixel)
      _ = try subject.output(input)
      var best = Double.infinity
      for seed in UInt64(2)...4 {
        var input = input
        input.seed = seed
        // What makes the input takes time too: it is made before.
        best = min(best, try subject.seconds(input))
      }
      let megapixels = Double(megapixel * megapixel) / 1e6
      return "\(Int((best / megapixels * 1000).rounded(.up))) ms (best of 3, \(megapixel) x \(megapixel) pixels)"
    }
  }

  // MARK: Verdicts

  private func check(_ name: String, _ body: () throws -> String) {
    do { report(Check(name: name, verdict: .passed, text: try body())) } catch {
      hasFailed = true
      let text = (error as? CommandFault)?.reason ?? (error as? StageError)?.reason ?? "\(error)"
      report(Check(name: name, verdict: .failed, text: text))
    }
  }
}

extension ConformanceSubject {
  /// Seconds of one call, without the making of its input.
  func seconds(_ input: ConformanceInput) throws -> Double {
    func measured(_ body: () throws -> Void) rethrows -> Double {
      let began = monotonicSeconds()
      try body()
      return monotonicSeconds() - began
    }
    switch self {
    case .denoise(let stage):
      var image = input.image(0)
      return try measured { try stage.filter(&image) }
    case .affinity(let stage):
      let context = stage.contextRadius
      let images = (0...2 * context).map(input.image)
      let stack = images.enumerated().map { z, image in
        StackSection(z: Int32(z), key: "time \(input.key)/\(z)") { image }
      }
      return try measured { _ = try stage.affinities(of: context, in: stack) }
    case .watershed(let stage):
      let map = input.affinities
      return try measured { _ = try stage.fragments(of: map) }
    case .agglomerate(let stage):
      let window = input.window(sections: stage.lookBehind + 1 + stage.lookAhead)
      return try measured { _ = try stage.decide(stage.lookBehind..<stage.lookBehind + 1, in: window) }
    }
  }
}

extension OptionType {
  /// A value that it does not take; nil if it takes all of its kind.
  var misfit: OptionValue? {
    switch self {
    case .bool: .string("perhaps")
    case .int(let range): range.upperBound < Int.max ? .int(range.upperBound + 1) : nil
    case .double(let range): range.upperBound.nextUp.isFinite ? .double(range.upperBound.nextUp) : nil
    case .choice: .string("no such choice")
    case .path: .string("")
    case .text: .int(1)
    }
  }

  /// The values at the ends of what it takes.
  var ends: [OptionValue] {
    switch self {
    case .bool: [.bool(false), .bool(true)]
    case .int(let range): [.int(range.lowerBound), .int(range.upperBound)]
    case .double(let range): [.double(range.lowerBound), .double(range.upperBound)]
    case .choice(let names): names.map(OptionValue.string)
    case .path, .text: []
    }
  }
}
