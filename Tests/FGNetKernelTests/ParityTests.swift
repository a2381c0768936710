import CHDF5
import Testing

@testable import FGNetKernel

extension FGNetKernelSuite {
  /// Every module against PyTorch's in float64.
  @Suite struct ParityTests {
    static let tolerance: Float = 1e-4

    /// A module's output of all places, to be compared with a golden's element order (D, C, H, W), (C, D, H, W) or
    /// (D, h, w, C).
    struct Traced {
      var key: String
      var maps: [Int: Tensor]

      func element(_ index: Int, _ output: GoldenFile.Output) -> Float {
        let shape = output.shape
        var rest = index
        var place = [0, 0, 0, 0]
        for axis in (0..<4).reversed() {
          place[axis] = rest % shape[axis]
          rest /= shape[axis]
        }
        let tokens = key.hasPrefix("trunk.")
        let (d, c, y, x) =
          tokens
          ? (place[0], place[3], place[1], place[2])
          : key.hasPrefix("A_") ? (place[1], place[0], place[2], place[3]) : (place[0], place[1], place[2], place[3])
        guard let map = maps[d], y < map.height, x < map.width, c < map.channels else { return .nan }
        return map.data[(y * map.width + x) * map.channels + c]
      }

      /// Mean and population standard deviation of all elements.
      var moments: (mean: Double, deviation: Double) {
        var (count, sum, squares) = (0, 0.0, 0.0)
        for map in maps.values {
          count += map.count
          var at = map.data
          let end = map.data + map.count
          while at != end {
            let value = Double(at.pointee)
            sum += value
            squares += value * value
            at += 1
          }
        }
        let mean = sum / Double(count)
        return (mean, (squares / Double(count) - mean * mean).squareRoot())
      }

      func matches(_ output: GoldenFile.Output) -> Bool {
        guard let map = maps[0], output.count == map.count * maps.count else { return false }
        let extents = Set([map.height, map.width, map.channels, maps.count])
        return Set(output.shape) == extents
      }
    }

    /// The first module, in the order of evaluation, that departs; nil if none does.
    static func firstDeparture(_ golden: GoldenFile, _ traced: [Traced]) -> String? {
      let outputs = Dictionary(golden.outputs.map { ($0.key, $0) }, uniquingKeysWith: { a, _ in a })
      let seen = Set(traced.map(\.key))
      for output in golden.outputs where !seen.contains(output.key) { return "\(output.key) was not evaluated" }
      for module in traced {
        guard let output = outputs[module.key] else { continue }
        guard module.matches(output) else { return "\(module.key) has another shape than \(output.shape)" }
        for (k, expected) in output.values.enumerated() {
          let index = output.index(k)
          let found = module.element(index, output)
          guard abs(found - expected) <= tolerance else {
            return "\(module.key) at \(index) of \(output.shape): \(found), expected \(expected)"
          }
        }
        let (mean, deviation) = module.moments
        guard abs(mean - output.mean) <= Double(tolerance), abs(deviation - output.deviation) <= Double(tolerance)
        else {
          return "\(module.key): mean \(mean), deviation \(deviation), not \(output.mean), \(output.deviation)"
        }
      }
      return nil
    }

    static func collect(_ traced: inout [Traced], _ key: String, _ place: Int, _ map: Tensor) throws {
      // The maker goes on writing into some tensors.
      let copy = try Tensor(map.height, map.width, map.channels, map.array())
      if let found = traced.firstIndex(where: { $0.key == key }) {
        traced[found].maps[place] = copy
      } else {
        traced.append(Traced(key: key, maps: [place: copy]))
      }
    }

    @Test(arguments: ["nano-7x128x128", "nano-3x128x256", "micro-3x96x160"])
    func network(_ name: String) throws {
      let golden = try GoldenFile(name)
      let architecture = try Architecture(json: golden.architecture, source: name)
      let weights = FormulaWeights(seed: golden.weightsSeed, tensors: architecture.tensors)
      #expect(golden.weights.map(\.key) == weights.inventory.map(\.key))
      for (spec, expected) in zip(weights.inventory, golden.weights) {
        #expect(spec.shape == expected.shape, "\(spec.key)")
        #expect(Array(weights.values(of: spec).prefix(expected.first.count)) == expected.first, "\(spec.key)")
      }
      let network = try FGNet(architecture: architecture, weights: weights)
      var traced: [Traced] = []
      var failure: (any Error)?
      network.trace = { key, place, map in
        do { try Self.collect(&traced, key, place, map) } catch { failure = error }
      }
      let (depth, height, width) = (golden.shape[0], golden.shape[1], golden.shape[2])
      let stack = (0..<depth).map { z in
        StackPlane(key: "section \(z)") {
          let values = goldenInput(seed: golden.inputSeed, start: z * height * width, count: height * width)
          return FloatPlane(height: height, width: width, values: values)
        }
      }
      // The golden's input is normalised already.
      for index in 0..<depth {
        _ = try network.maps(index: index, stack: stack) { try Tensor(height, width, 1, $0.values) }
      }
      #expect(failure == nil)
      #expect(Self.firstDeparture(golden, traced) == nil)
    }

    /// One changed weight must be noticed, and named.
    @Test func aDepartureIsNamed() throws {
      let golden = try GoldenFile("micro-3x96x160")
      var changed = golden
      let place = try #require(changed.outputs.firstIndex { $0.key == "fge.stem" })
      changed.outputs[place].values[5] += 3e-4
      let map = try Tensor(96, 160, 4)
      for index in 0..<map.count { map.data[index] = 0 }
      let traced = Traced(key: "fge.stem", maps: [0: map, 1: map, 2: map])
      changed.outputs = [changed.outputs[place]]
      #expect(Self.firstDeparture(changed, [traced])?.hasPrefix("fge.stem at") == true)
      #expect(Self.firstDeparture(changed, [])?.hasPrefix("fge.stem was not") == true)
    }

    @Test(arguments: [("uint8", 256.0), ("uint16", 65536.0)])
    func normalisation(_ name: String, _ levels: Double) throws {
      chdf5_silence()
      let file = chdf5_open_for_reading(try GoldenFile.path("normalisation"))
      defer { H5Fclose(file) }
      let root = chdf5_open_group(file, "normalisation")
      let group = chdf5_open_group(root < 0 ? file : root, name)
      try #require(group >= 0)
      defer { H5Gclose(group) }
      let pixels = (0..<96 * 160).map { index -> Float in
        let t = FormulaWeights.uniform(seed: 2, index: UInt64(index)) + 0.5
        return Float((levels * t * t).rounded(.down) / (levels - 1))
      }
      let found = try #require(Normalisation(pixels))
      let mean = try GoldenFile.double(group, "mean")
      let deviation = try GoldenFile.double(group, "std")
      #expect(abs(found.mean - mean) < 1e-5)
      #expect(abs(found.deviation - deviation) < 1e-5)
    }
  }
}
