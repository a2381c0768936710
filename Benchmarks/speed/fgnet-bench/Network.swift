import ArgumentParser
import CKernels
import FGNetKernel

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
      report.rounds = try timed(common.sections) { try evaluate(3 * radius + 1 + $0) }
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
      report.rounds = try timed(common.sections) { _ in _ = try encoder.features(of: planes) }
      report.operations = (encoder.operationsDone - before) / common.sections
      report.show("SAM2 \(name) encoder", common)
    }
  }
}

func section(_ z: Int, _ size: Int) -> FloatPlane {
  let values = [Float](unsafeUninitializedCapacity: size * size) { buffer, count in
    ck_uniform(UInt64(z + 1), 0, 1, 0.5, buffer.baseAddress, buffer.count)
    count = buffer.count
  }
  return FloatPlane(height: size, width: size, values: values)
}
