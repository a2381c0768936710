import ArgumentParser
import CKernels
import CPeak
import FGNetKernel
import Foundation

/// Times of the network in steady state, for Benchmarks/speed/run.sh. Not part of what is installed.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fgnet-bench", subcommands: [Network.self, Encoder.self])
}

struct Common: ParsableArguments {
  @Option(help: "Height and width of a section, pixels.") var size = 1024
  @Option(help: "Sections that are timed.") var sections = 5
  @Flag(help: "Every kernel at every shape, in place of one line of JSON.") var kernels = false
}

struct Network: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "FGNet on a growing stack.")
  @Argument(help: "Weights file.") var model: String
  @OptionGroup var common: Common

  func run() throws {
    for precision in Precision.allCases where precision.isSupported {
      let network = try FGNet(path: model, precision: precision)
      let radius = network.contextRadius
      let report = Report(precision)
      func evaluate(_ newest: Int) throws {
        let first = max(0, newest - 2 * radius)
        let stack = (first...newest).map { z in StackPlane(key: "s\(z)") { section(z, common.size) } }
        _ = try network.evaluate(index: stack.count - 1 - radius, stack: stack)
      }
      // Until every layer has its neighbours in memory.
      for newest in radius...3 * radius { try evaluate(newest) }
      network.profile = common.kernels ? report.note : nil
      let before = network.operationsDone
      for newest in 1...common.sections {
        let start = ContinuousClock.now
        try evaluate(3 * radius + newest)
        report.rounds.append(seconds(ContinuousClock.now - start))
      }
      report.operations = (network.operationsDone - before) / common.sections
      report.show("default model", common)
    }
  }
}

struct Encoder: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "SAM2's image encoder with random weights.")
  @Argument(help: "tiny, small, base_plus or large.") var name: String
  @OptionGroup var common: Common

  func run() throws {
    guard let size = ImageEncoderArchitecture.Size(rawValue: name) else {
      throw ValidationError("there is no encoder \(name)")
    }
    let architecture = ImageEncoderArchitecture(size)
    for precision in Precision.allCases where precision.isSupported {
      let weights = FormulaWeights(seed: 1, tensors: architecture.tensors)
      let encoder = try ImageEncoder(architecture: architecture, weights: weights, precision: precision)
      let planes = (0..<3).map { section($0, common.size) }
      let report = Report(precision)
      _ = try encoder.features(of: planes)
      encoder.profile = common.kernels ? report.note : nil
      let before = encoder.operationsDone
      for _ in 0..<common.sections {
        let start = ContinuousClock.now
        _ = try encoder.features(of: planes)
        report.rounds.append(seconds(ContinuousClock.now - start))
      }
      report.operations = (encoder.operationsDone - before) / common.sections
      report.show("SAM2 \(name) encoder", common)
    }
  }
}

func seconds(_ time: Duration) -> Double {
  Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
}

func section(_ z: Int, _ size: Int) -> FloatPlane {
  let values = [Float](unsafeUninitializedCapacity: size * size) { buffer, count in
    ck_uniform(UInt64(z + 1), 0, 1, 0.5, buffer.baseAddress, buffer.count)
    count = buffer.count
  }
  return FloatPlane(height: size, width: size, values: values)
}

final class Report {
  private struct Line {
    var operations = 0
    var time = 0.0
  }
  private let precision: Precision
  private var lines: [String: Line] = [:]
  private var order: [String] = []
  var rounds: [Double] = []
  /// Multiply-adds of one section.
  var operations = 0

  init(_ precision: Precision) { self.precision = precision }

  func note(_ what: String, _ multiplyAdds: Int, _ time: Duration) {
    if lines[what] == nil { order.append(what) }
    lines[what, default: Line()].operations += multiplyAdds
    lines[what, default: Line()].time += seconds(time)
  }

  func show(_ title: String, _ common: Common) {
    let median = rounds.sorted()[rounds.count / 2]
    let isa = precision == .bfloat16 ? CK_AVX512_BF16.rawValue : UInt32(ck_best_isa())
    let peak = peak_gflops(Int32(isa), ck_threads(), 1)
    let rate = 2e-9 * Double(operations) / median
    guard common.kernels else {
      let fields: [String: Any] = [
        "what": "fgnetd \(precision.rawValue)", "seconds": median, "gflops": rate, "peak": peak,
        "threads": Int(ck_threads()),
        "gflop": 2e-9 * Double(operations),
      ]
      if let data = try? JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys]) {
        print(String(decoding: data, as: UTF8.self))
      }
      return
    }
    func text(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    print("# \(title), \(precision.kernels), \(ck_threads()) threads, \(common.size) x \(common.size)\n")
    print("| kernel | ms | GFLOP/s | of the peak |\n|---|---:|---:|---:|")
    for what in order {
      guard let line = lines[what] else { continue }
      let speed = 2e-9 * Double(line.operations) / line.time
      let time = 1e3 * line.time / Double(rounds.count)
      print("| \(what) | \(text(time, 2)) | \(text(speed, 0)) | \(text(100 * speed / peak, 0)) % |")
    }
    let named = lines.values.reduce(0) { $0 + $1.time } / Double(rounds.count)
    let mean = rounds.reduce(0, +) / Double(rounds.count)
    print("| everything else | \(text(1e3 * (mean - named), 2)) | | |")
    print("| **a section, median** | \(text(1e3 * median, 1)) | \(text(rate, 0)) | \(text(100 * rate / peak, 0)) % |")
    print("\nPeak, measured with products of registers: \(text(peak, 0)) GFLOP/s.\n")
  }
}

Bench.main()
