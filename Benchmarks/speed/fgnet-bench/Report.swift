import CKernels
import CPeak
import FGNetKernel
import Foundation

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
