import Domain
import Foundation
import Testing

@testable import Plugins

@Suite("Resampling")
struct ResamplingTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var inputs: Int
    var outputs: Int
    var testDescription: String { "\(inputs) -> \(outputs)" }
  }

  static let cases = [
    (1, 1), (1, 3), (3, 1), (2, 5), (5, 2), (7, 5), (5, 7), (31, 32), (33, 32), (64, 128), (128, 64), (100, 34),
    (34, 100), (96, 32), (32, 96),
  ].map { Case(inputs: $0, outputs: $1) }
  static let larger = cases.filter { $0.inputs >= 5 && $0.outputs >= 5 }

  static func resampled(_ values: [Float], _ axis: Resampling) throws -> [Float] {
    try Resampling.plane(values, Resampling(from: 1, to: 1), axis, stage: "test")
  }

  @Test("no change is no change, bit for bit", arguments: [1, 2, 17])
  func identity(size: Int) throws {
    for samples in [Resampling.Samples.pixels, .borders] {
      let axis = Resampling(from: size, to: size, samples, enlarging: .cubic)
      #expect(axis.taps == 1 && axis.weights.allSatisfy { $0 == 1 } && axis.starts == (0..<Int32(size)).map { $0 })
      let values = (0..<size).map { Float($0) * 0.37 + 0.011 }
      #expect(try Self.resampled(values, axis) == values)
    }
  }

  @Test("weights are of inputs that are there, and sum up to 1: a constant stays one", arguments: cases)
  func constants(_ size: Case) throws {
    for interpolation in [Resampling.Interpolation.linear, .cubic] {
      for samples in [Resampling.Samples.pixels, .borders] {
        let axis = Resampling(from: size.inputs, to: size.outputs, samples, enlarging: interpolation)
        #expect(axis.starts.count == size.outputs && axis.weights.count == size.outputs * axis.taps)
        #expect(axis.starts.allSatisfy { $0 >= 0 && Int($0) + axis.taps <= size.inputs })
        let out = try Self.resampled([Float](repeating: 0.7, count: size.inputs), axis)
        #expect(out.allSatisfy { abs($0 - 0.7) < 1e-6 }, "\(out)")
      }
    }
  }

  /// An average of whole inputs and parts of them is off by an eighth of an input's step at most.
  func tolerance(_ size: Case) -> Double {
    1e-5 + (size.inputs > size.outputs && size.inputs % size.outputs != 0 ? 0.125 / Double(size.inputs) : 0)
  }

  @Test("a ramp stays a ramp, in the middle of pixels", arguments: larger)
  func ramp(_ size: Case) throws {
    for interpolation in [Resampling.Interpolation.linear, .cubic] {
      let axis = Resampling(from: size.inputs, to: size.outputs, enlarging: interpolation)
      let values = (0..<size.inputs).map { Float((Double($0) + 0.5) / Double(size.inputs)) }
      let edge = size.inputs < size.outputs ? 2 * size.outputs / size.inputs + 1 : 0
      for (i, value) in try Self.resampled(values, axis).enumerated() {
        let expected = (Double(i) + 0.5) / Double(size.outputs)
        if i >= edge && i < size.outputs - edge { #expect(abs(Double(value) - expected) < tolerance(size), "at \(i)") }
        #expect(abs(Double(value) - expected) < 0.6 / Double(size.inputs), "at \(i)")
      }
    }
  }

  @Test("a ramp stays a ramp, on borders", arguments: larger)
  func borderRamp(_ size: Case) throws {
    let axis = Resampling(from: size.inputs, to: size.outputs, .borders)
    let values = (0..<size.inputs).map { Float(Double($0) / Double(size.inputs)) }
    let ratio = Double(size.inputs) / Double(size.outputs)
    for (i, value) in try Self.resampled(values, axis).enumerated() {
      // Between the first border that has a meaning and the last one there is.
      let position = Double(i) * ratio
      guard position - max(ratio / 2, 0) >= 0.5, position <= Double(size.inputs - 1) else { continue }
      if ratio < 1, position < 1 { continue }
      #expect(abs(Double(value) - Double(i) / Double(size.outputs)) < tolerance(size), "at \(i)")
    }
  }

  @Test("the border before the first pixel is never read", arguments: larger)
  func firstBorder(_ size: Case) throws {
    let axis = Resampling(from: size.inputs, to: size.outputs, .borders)
    var values = [Float](repeating: 0.25, count: size.inputs)
    if size.inputs != size.outputs { values[0] = 1e6 }
    #expect(try Self.resampled(values, axis).allSatisfy { abs($0 - 0.25) < 1e-6 })
  }

  @Test("a cut between two pixels stays where it is")
  func cut() throws {
    // Affinity 0 between pixels 4 and 5 of 12; twice as many pixels: between 9 and 10, at the border of 10.
    var values = [Float](repeating: 1, count: 12)
    values[5] = 0
    let finer = try Self.resampled(values, Resampling(from: 12, to: 24, .borders))
    #expect(finer[10] == 0 && finer[9] == 0.5 && finer[11] == 0.5 && finer[8] == 1 && finer[12] == 1)
    // Half as many: pixels 2 and 3 hold 4, 5 and 6, 7. Border 5 is inside pixel 2, halfway to both its borders.
    let coarser = try Self.resampled(values, Resampling(from: 12, to: 6, .borders))
    #expect(coarser == [1, 1, 0.75, 0.75, 1, 1])
  }

  @Test(
    "every input has the same part in the result, at the edges too",
    arguments: cases.filter {
      $0.inputs > $0.outputs || $0.outputs % $0.inputs == 0
    })
  func energy(_ size: Case) throws {
    let axis = Resampling(from: size.inputs, to: size.outputs)
    var sums = [Double](repeating: 0, count: size.inputs)
    for output in 0..<size.outputs {
      for tap in 0..<axis.taps {
        sums[Int(axis.starts[output]) + tap] += Double(axis.weights[tap * size.outputs + output])
      }
    }
    let share = Double(size.outputs) / Double(size.inputs)
    #expect(sums.allSatisfy { abs($0 - share) < 1e-5 }, "\(sums)")
  }

  @Test("there and back gives a smooth image again", arguments: [0.4, 0.5, 2.0, 2.7])
  func roundTrip(factor: Double) throws {
    let (height, width) = (60, 90)
    func smooth(_ y: Double, _ x: Double) -> Float { Float(0.5 + 0.3 * sin(y) * cos(x)) }
    let image = (0..<height * width).map { smooth(Double($0 / width) / 9, Double($0 % width) / 11) }
    let there = (Int((60 * factor).rounded()), Int((90 * factor).rounded()))
    let scaled = try Resampling.plane(
      image, Resampling(from: height, to: there.0, enlarging: .cubic),
      Resampling(from: width, to: there.1, enlarging: .cubic), stage: "test")
    let back = try Resampling.plane(
      scaled, Resampling(from: there.0, to: height, enlarging: .cubic),
      Resampling(from: there.1, to: width, enlarging: .cubic), stage: "test")
    let worst = zip(image, back).map { abs($0 - $1) }.max() ?? 1
    #expect(worst < 0.03, "\(worst)")
  }

  @Test("the C kernel equals the sum it stands for")
  func twin() throws {
    var generator = SplitMix(seed: 4)
    let y = Resampling(from: 13, to: 21, enlarging: .cubic)
    let x = Resampling(from: 40, to: 17, .borders)
    let values = (0..<13 * 40).map { _ in Float(generator.unit()) }
    let fast = try Resampling.plane(values, y, x, stage: "test")
    for row in 0..<21 {
      for column in 0..<17 {
        var sum = 0.0
        for i in 0..<y.taps {
          for j in 0..<x.taps {
            let value = values[(Int(y.starts[row]) + i) * 40 + Int(x.starts[column]) + j]
            sum += Double(y.weights[i * 21 + row]) * Double(x.weights[j * 17 + column]) * Double(value)
          }
        }
        #expect(abs(Double(fast[row * 17 + column]) - sum) < 1e-6, "at \(row), \(column)")
      }
    }
  }
}
