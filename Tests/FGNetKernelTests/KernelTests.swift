import CKernels
import Foundation
import Testing

@testable import FGNetKernel

extension FGNetKernelSuite {
  /// Each kernel against a plain twin, on every instruction set of this CPU.
  @Suite struct KernelTests {
    static let sets = (0...ck_best_isa()).map { $0 } + (ck_has_bf16() == 1 ? [Int32(CK_AVX512_BF16.rawValue)] : [])

    /// As a product takes it on an instruction set: rounded to bfloat16, or as it is.
    static func taken(_ value: Float, on set: Int32) -> Float {
      guard set == Int32(CK_AVX512_BF16.rawValue) else { return value }
      let bits = value.bitPattern
      return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }
    static func taken(_ values: [Float], on set: Int32) -> [Float] { values.map { taken($0, on: set) } }

    struct Numbers {
      var next: UInt64
      mutating func callAsFunction(_ count: Int) -> [Float] {
        defer { next += UInt64(count) }
        return (0..<count).map { Float(2 * FormulaWeights.uniform(seed: 99, index: next + UInt64($0))) }
      }
    }

    /// Runs `body` once per instruction set and leaves the best one in use.
    static func onEachSet(_ body: (Int32) throws -> Void) throws {
      defer { ck_use_isa(ck_best_isa()) }
      for set in sets {
        #expect(ck_use_isa(set) == set)
        try body(set)
      }
    }

    static func expectEqual(_ found: [Float], _ expected: [Float], _ tolerance: Float, _ what: String) {
      #expect(found.count == expected.count)
      let bad = zip(found, expected).enumerated().first { !(abs($0.element.0 - $0.element.1) <= tolerance) }
      if let bad { Issue.record("\(what): element \(bad.offset) is \(bad.element.0), expected \(bad.element.1)") }
    }

    struct Shape: Sendable {
      var h, w, inputs, outputs, planes, k, stride: Int
      /// Computed by patches of 2 x 2 outputs.
      var isTransformed: Bool { k == 3 && stride == 1 && inputs >= 32 && inputs % 16 == 0 && outputs % 16 == 0 }
    }

    static let shapes = [
      Shape(h: 1, w: 1, inputs: 1, outputs: 1, planes: 1, k: 1, stride: 1),
      Shape(h: 1, w: 1, inputs: 3, outputs: 5, planes: 3, k: 3, stride: 1),
      Shape(h: 5, w: 37, inputs: 16, outputs: 16, planes: 1, k: 3, stride: 1),
      Shape(h: 4, w: 16, inputs: 16, outputs: 32, planes: 3, k: 3, stride: 1),
      Shape(h: 3, w: 15, inputs: 32, outputs: 48, planes: 3, k: 3, stride: 1),
      Shape(h: 3, w: 17, inputs: 48, outputs: 64, planes: 1, k: 3, stride: 1),
      Shape(h: 3, w: 50, inputs: 64, outputs: 64, planes: 3, k: 3, stride: 1),
      // By patches, 24 of a row at a time.
      Shape(h: 1, w: 1, inputs: 32, outputs: 16, planes: 3, k: 3, stride: 1),
      Shape(h: 2, w: 2, inputs: 32, outputs: 32, planes: 1, k: 3, stride: 1),
      Shape(h: 1, w: 3, inputs: 48, outputs: 16, planes: 1, k: 3, stride: 1),
      Shape(h: 7, w: 47, inputs: 32, outputs: 16, planes: 1, k: 3, stride: 1),
      Shape(h: 4, w: 48, inputs: 32, outputs: 48, planes: 1, k: 3, stride: 1),
      Shape(h: 5, w: 49, inputs: 48, outputs: 32, planes: 3, k: 3, stride: 1),
      Shape(h: 2, w: 98, inputs: 96, outputs: 96, planes: 1, k: 3, stride: 1),
      // As many inputs, but not so: outputs of no whole vector; a stride.
      Shape(h: 5, w: 9, inputs: 32, outputs: 20, planes: 1, k: 3, stride: 1),
      Shape(h: 5, w: 9, inputs: 32, outputs: 32, planes: 1, k: 3, stride: 2),
      Shape(h: 6, w: 41, inputs: 1, outputs: 16, planes: 1, k: 5, stride: 1),
      Shape(h: 2, w: 33, inputs: 49, outputs: 3, planes: 1, k: 1, stride: 1),
      Shape(h: 8, w: 40, inputs: 3, outputs: 20, planes: 1, k: 7, stride: 4),
      Shape(h: 32, w: 160, inputs: 1, outputs: 33, planes: 1, k: 7, stride: 4),
      Shape(h: 2, w: 7, inputs: 5, outputs: 100, planes: 3, k: 5, stride: 1),
    ]

    static func twin(
      _ s: Shape, _ planes: [[Float]?], _ weight: [Float], _ bias: [Float], _ residual: [Float]?, relu: Bool
    ) -> [Float] {
      let (oh, ow) = ((s.h + s.stride - 1) / s.stride, (s.w + s.stride - 1) / s.stride)
      var out = [Float](repeating: 0, count: oh * ow * s.outputs)
      for y in 0..<oh {
        for x in 0..<ow {
          for o in 0..<s.outputs {
            var sum = Double(bias[o])
            for (z, plane) in planes.enumerated() {
              guard let plane else { continue }
              for dy in 0..<s.k {
                for dx in 0..<s.k {
                  let (iy, ix) = (y * s.stride + dy - s.k / 2, x * s.stride + dx - s.k / 2)
                  guard (0..<s.h).contains(iy), (0..<s.w).contains(ix) else { continue }
                  for i in 0..<s.inputs {
                    let w = weight[(((o * s.inputs + i) * s.planes + z) * s.k + dy) * s.k + dx]
                    sum += Double(w) * Double(plane[(iy * s.w + ix) * s.inputs + i])
                  }
                }
              }
            }
            let at = (y * ow + x) * s.outputs + o
            sum += Double(residual?[at] ?? 0)
            out[at] = relu ? max(Float(sum), 0) : Float(sum)
          }
        }
      }
      return out
    }

    @Test(arguments: shapes) func convolution(_ s: Shape) throws {
      var numbers = Numbers(next: 0)
      let weight = numbers(s.outputs * s.inputs * s.planes * s.k * s.k)
      let bias = numbers(s.outputs)
      let full: [[Float]?] = (0..<s.planes).map { _ in numbers(s.h * s.w * s.inputs) }
      let (oh, ow) = ((s.h + s.stride - 1) / s.stride, (s.w + s.stride - 1) / s.stride)
      let residual = numbers(oh * ow * s.outputs)
      let stacks =
        s.planes == 1 ? [full] : [full, [nil, full[1], full[2]], [full[0], full[1], nil], [nil, full[1], nil]]
      try Self.onEachSet { set in
        let layer = try Convolution(
          key: "c", weight: weight, bias: bias, inputs: s.inputs, planes: s.planes, k: s.k, stride: s.stride,
          meter: Meter())
        for (index, stack) in stacks.enumerated() {
          let fused = index % 2 == 0
          let tensors = try stack.map { try $0.map { try Tensor(s.h, s.w, s.inputs, $0) } }
          let out = try layer(tensors, residual: fused ? Tensor(oh, ow, s.outputs, residual) : nil, relu: fused)
          // Patches are rounded to bfloat16 after they are transformed, which the twin does not do: a few hundredths of the sum's deviation.
          let rounds = set == Int32(CK_AVX512_BF16.rawValue) && s.isTransformed
          let taken = rounds ? Int32(CK_BASELINE.rawValue) : set
          let expected = Self.twin(
            s, stack.map { $0.map { Self.taken($0, on: taken) } }, Self.taken(weight, on: taken), bias,
            fused ? residual : nil, relu: fused)
          let tolerance = rounds ? 0.02 * Float(s.inputs * 9 * s.planes).squareRoot() : 2e-4
          Self.expectEqual(out.array(), expected, tolerance, "\(s), stack \(index), set \(set)")
        }
      }
    }

    /// What a convolution computes of its input on the way is what the kernels for whole maps make of it.
    @Test(arguments: [
      (2, 2, 3, 5, 3), (6, 10, 16, 16, 3), (34, 40, 32, 48, 5), (4, 70, 20, 33, 1), (4, 26, 32, 16, 3),
      (18, 24, 48, 48, 3),
    ])
    func sources(_ h: Int, _ w: Int, _ inputs: Int, _ outputs: Int, _ k: Int) throws {
      var numbers = Numbers(next: 0)
      let weight = numbers(outputs * inputs * k * k)
      let bias = numbers(outputs)
      let (coarse, fine) = (numbers(h * w * inputs), numbers(4 * h * w * inputs))
      try Self.onEachSet { set in
        let layer = try Convolution(
          key: "c", weight: weight, bias: bias, inputs: inputs, planes: 1, k: k, meter: Meter())
        let (map, skip) = (try Tensor(h, w, inputs, coarse), try Tensor(2 * h, 2 * w, inputs, fine))
        #expect(
          try layer(.doubled(map), relu: true).array() == layer(upsample(map), relu: true).array(), "set \(set)")
        #expect(
          try layer(.doubled(map, adding: skip)).array() == layer(upsample(map, adding: skip)).array(), "set \(set)")
        #expect(try layer(.pooled(skip)).array() == layer(maximumPool(skip)).array(), "set \(set)")
      }
    }

    /// A block computed row by row is its convolutions one after the other, bit for bit, on any number of threads.
    @Test(arguments: [
      (1, 1, 1, 1, 5), (2, 9, 5, 3, 5), (37, 50, 16, 32, 5), (66, 130, 32, 48, 5), (1, 1, 32, 32, 3),
      (67, 49, 32, 48, 3),
      (34, 96, 48, 32, 3), (35, 20, 32, 20, 3),
    ])
    func blocks(_ h: Int, _ w: Int, _ inputs: Int, _ outputs: Int, _ k: Int) throws {
      let specs =
        TensorSpec.convolution("b.conv0", inputs, outputs, 1, k)
        + TensorSpec.convolution("b.conv1", outputs, outputs, 1, 3)
        + TensorSpec.convolution("b.head", outputs, 3, 1, 1)
      let weights = try Weights(FormulaWeights(seed: 5, tensors: specs), expecting: specs)
      var numbers = Numbers(next: 0)
      let (image, half) = (numbers(h * w * inputs), numbers(h * w * inputs))
      let before = ck_threads()
      defer { ck_use_threads(before) }
      try Self.onEachSet { set in
        let (whole, traced) = (Meter(), Meter())
        // A traced block is computed map by map.
        traced.trace = { _, _, _ in }
        let (one, other) = (
          try ResidualBlock("b", weights, whole), try ResidualBlock("b", weights, traced)
        )
        let (head, tracedHead) = (
          try Convolution("b.head", weights, whole), try Convolution("b.head", weights, traced)
        )
        for source in [Source.plain(try Tensor(h, w, inputs, image)), .doubled(try Tensor(h, w, inputs, half))] {
          let (expected, logits) = (try other(source).array(), try other(source, head: tracedHead).array())
          for threads in [Int32(1), 3] {
            ck_use_threads(threads)
            #expect(try one(source).array() == expected, "set \(set), \(threads) threads")
            #expect(try one(source, head: head).array() == logits, "set \(set), \(threads) threads")
          }
        }
        #expect(whole.operations == traced.operations * 2)
      }
    }

    @Test(arguments: [16, 32]) func threadsDoNotChangeAResult(_ inputs: Int) throws {
      var numbers = Numbers(next: 0)
      let layer = try Convolution(
        key: "c", weight: numbers(32 * inputs * 27), bias: numbers(32), inputs: inputs, planes: 3, k: 3, meter: Meter())
      let stack = try (0..<3).map { _ in try Tensor(61, 47, inputs, numbers(61 * 47 * inputs)) }
      let before = ck_threads()
      defer { ck_use_threads(before) }
      let results = try [Int32(1), 2, 3, 7].map { threads in
        ck_use_threads(threads)
        return try layer(stack, residual: nil, relu: true).array()
      }
      for result in results { #expect(result == results[0]) }
    }

    /// What lies outside an output's 3 x 3 inputs takes no part in it, and a part of a map that begins at even rows and columns gives the
    /// bits of the whole, however large the numbers beside it.
    @Test func partsOfAMapGiveItsBits() throws {
      let (h, w, channels) = (40, 120, 32)
      var numbers = Numbers(next: 0)
      let weight = numbers(channels * channels * 9)
      let bias = numbers(channels)
      let map = numbers(h * w * channels)
      try Self.onEachSet { set in
        let layer = try Convolution(
          key: "c", weight: weight, bias: bias, inputs: channels, planes: 1, k: 3, meter: Meter())
        let whole = try layer(Tensor(h, w, channels, map))
        for (rows, columns) in [(6..<29, 10..<75), (0..<40, 58..<120), (38..<40, 0..<4)] {
          // Beyond what the part's inner pixels see, other numbers.
          var other = map.map { $0 * 1000 }
          for y in rows {
            for x in columns {
              for i in 0..<channels { other[(y * w + x) * channels + i] = map[(y * w + x) * channels + i] }
            }
          }
          let part = try layer(Tensor(h, w, channels, other).cropped(rows: rows, columns: columns))
          let beside = try layer(Tensor(h, w, channels, other)).cropped(rows: rows, columns: columns)
          let expected = try whole.cropped(rows: rows, columns: columns)
          let (found, among, sought) = (part.array(), beside.array(), expected.array())
          for y in 0..<rows.count {
            for x in 0..<columns.count {
              let edge =
                (y == 0 && rows.lowerBound > 0) || (y == rows.count - 1 && rows.upperBound < h)
                || (x == 0 && columns.lowerBound > 0) || (x == columns.count - 1 && columns.upperBound < w)
              let at = (y * columns.count + x) * channels
              if edge { continue }
              #expect(found[at..<at + channels] == sought[at..<at + channels], "set \(set), \(y), \(x)")
              #expect(among[at..<at + channels] == sought[at..<at + channels], "set \(set), \(y), \(x)")
            }
          }
        }
      }
    }

    @Test(arguments: [(1, 1, 1), (3, 5, 16), (2, 70, 33)]) func attentionGate(_ h: Int, _ w: Int, _ f: Int) throws {
      let (g, q) = (f + 3, max(f / 2, 1))
      let specs =
        TensorSpec.convolution("a.query", f + g + 1, q, 1, 1) + TensorSpec.convolution("a.gate", q, 1, 1, 1)
        + TensorSpec.convolution("a.channel", f + g, f, 1, 1) + TensorSpec.convolution("a.value", f + g, f, 1, 1)
        + [TensorSpec(key: "a.gamma", shape: [f])]
      let weights = try Weights(FormulaWeights(seed: 5, tensors: specs), expecting: specs)
      var numbers = Numbers(next: 0)
      let (fine, guide, unsure) = (numbers(h * w * f), numbers(h * w * g), numbers(h * w))
      func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
      var matrices: [String: (weight: [Float], bias: [Float])] = [:]
      for key in ["query", "gate", "channel", "value"] {
        matrices[key] = (try weights("a.\(key).weight"), try weights("a.\(key).bias"))
      }
      let gamma = try weights("a.gamma")
      func product(_ key: String, _ row: Int, _ input: [Float], on set: Int32) -> Double {
        guard let (weight, bias) = matrices[key] else { return .nan }
        return input.indices.reduce(Double(bias[row])) {
          $0 + Double(Self.taken(weight[row * input.count + $1], on: set)) * Double(Self.taken(input[$1], on: set))
        }
      }
      func twin(on set: Int32) -> [Float] {
        var expected: [Float] = []
        for p in 0..<h * w {
          let both = Array(fine[p * f..<(p + 1) * f]) + Array(guide[p * g..<(p + 1) * g])
          let query = (0..<q).map { Float(max(product("query", $0, both + [unsure[p]], on: set), 0)) }
          // The gate is one sum per pixel, in float32 everywhere.
          let gate = sigmoid(product("gate", 0, query, on: Int32(CK_BASELINE.rawValue)))
          for c in 0..<f {
            let added = gate * sigmoid(product("channel", c, both, on: set)) * product("value", c, both, on: set)
            expected.append(Float(Double(fine[p * f + c]) + Double(gamma[c]) * added))
          }
        }
        return expected
      }
      try Self.onEachSet { set in
        let expected = twin(on: set)
        let layer = try FeatureGuidedAttention("a", weights, Meter())
        let out = try layer(
          Tensor(h, w, f, fine), guide: Tensor(h, w, g, guide), unsure: Tensor(h, w, 1, unsure))
        Self.expectEqual(out.array(), expected, 1e-4, "fga \(h) x \(w) x \(f), set \(set)")
      }
    }

    /// A linear layer's rows, with LayerNorm before and a residual after it, or without.
    @Test(arguments: [(1, 1, 1), (5, 3, 17), (97, 33, 50), (250, 96, 64), (1000, 7, 100)])
    func linear(_ rows: Int, _ inputs: Int, _ outputs: Int) throws {
      var numbers = Numbers(next: 0)
      let (input, before) = (numbers(rows * inputs), numbers(rows * outputs))
      let specs =
        TensorSpec.linear("l", inputs, outputs)
        + ["weight", "bias"].map { TensorSpec(key: "n.\($0)", shape: [inputs]) }
      let weights = try Weights(FormulaWeights(seed: 3, tensors: specs), expecting: specs)
      let (scale, shift) = (try weights("n.weight"), try weights("n.bias"))
      try Self.onEachSet { set in
        let layer = try Linear("l", weights, Meter())
        for fused in [false, true] {
          let out = try layer(
            Tensor(1, rows, inputs, input), norm: fused ? LayerNorm("n", weights) : nil,
            residual: fused ? Tensor(1, rows, outputs, before) : nil)
          let taken = Self.taken(fused ? Self.normed(input, inputs, scale, shift) : input, on: set)
          var expected = try Self.product(taken, weights, "l", inputs, on: set)
          if fused { for i in expected.indices { expected[i] += before[i] } }
          Self.expectEqual(out.array(), expected, Self.tolerance(set), "\(rows) x \(inputs) x \(outputs), set \(set)")
        }
      }
    }

    /// A trunk's layer in float32 against OpenBLAS's product.
    @Test func linearAgainstOpenBLAS() throws {
      let (rows, inputs, outputs) = (300, 384, 1152)
      let specs = TensorSpec.linear("l", inputs, outputs)
      let weights = try Weights(FormulaWeights(seed: 8, tensors: specs), expecting: specs)
      var numbers = Numbers(next: 0)
      let input = numbers(rows * inputs)
      var expected = [Float](repeating: 0, count: rows * outputs)
      multiply(
        input, inputs, try weights("l.weight"), inputs, transposed: true, &expected, outputs, m: rows, n: outputs,
        k: inputs, beta: 0)
      let bias = try weights("l.bias")
      for i in expected.indices { expected[i] += bias[i % outputs] }
      let out = try Linear("l", weights, Meter())(Tensor(1, rows, inputs, input))
      Self.expectEqual(out.array(), expected, 1e-4, "OpenBLAS")
    }

    /// Where a number lies between two bfloat16 numbers, its twin may be rounded the other way.
    static func tolerance(_ set: Int32) -> Float { set == Int32(CK_AVX512_BF16.rawValue) ? 1e-2 : 1e-4 }

    /// LayerNorm of each row of `c`.
    static func normed(_ x: [Float], _ c: Int, _ weight: [Float], _ bias: [Float]) -> [Float] {
      stride(from: 0, to: x.count, by: c).flatMap { start -> [Float] in
        let row = x[start..<start + c].map(Double.init)
        let mean = row.reduce(0, +) / Double(c)
        let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(c)
        return row.enumerated().map {
          Float(
            ($0.element - mean) / (variance + 1e-6).squareRoot() * Double(weight[$0.offset]) + Double(bias[$0.offset]))
        }
      }
    }

    /// Rows of `inputs` times the matrix `key`, plus its bias.
    static func product(
      _ rows: [Float], _ weights: Weights, _ key: String, _ inputs: Int, on set: Int32
    ) throws -> [Float] {
      let (matrix, bias) = (taken(try weights("\(key).weight"), on: set), try weights("\(key).bias"))
      return stride(from: 0, to: rows.count, by: inputs).flatMap { start in
        bias.indices.map { output in
          let sum = (0..<inputs).reduce(Double(bias[output])) {
            $0 + Double(rows[start + $1]) * Double(matrix[output * inputs + $1])
          }
          return Float(sum)
        }
      }
    }

    @Test(arguments: [(1, 1, 1), (3, 5, 20), (97, 32, 128), (130, 24, 900)])
    func transformerHalf(_ rows: Int, _ c: Int, _ hidden: Int) throws {
      var numbers = Numbers(next: 0)
      let input = numbers(rows * c)
      let specs =
        TensorSpec.linear("m.layers.0", c, hidden) + TensorSpec.linear("m.layers.1", hidden, c)
        + ["weight", "bias"].map { TensorSpec(key: "n.\($0)", shape: [c]) }
      let weights = try Weights(FormulaWeights(seed: 4, tensors: specs), expecting: specs)
      let (scale, shift) = (try weights("n.weight"), try weights("n.bias"))
      try Self.onEachSet { set in
        let layer = try MLP("m", norm: LayerNorm("n", weights), weights, Meter())
        let x = try Tensor(1, rows, c, input)
        layer.update(x)
        let normed = Self.taken(Self.normed(input, c, scale, shift), on: set)
        let wide = try Self.product(normed, weights, "m.layers.0", c, on: set).map { value -> Float in
          Float(0.5 * Double(value) * (1 + erf(Double(value) / 2.squareRoot())))
        }
        let back = try Self.product(Self.taken(wide, on: set), weights, "m.layers.1", hidden, on: set)
        Self.expectEqual(
          x.array(), zip(input, back).map { $0 + $1 }, Self.tolerance(set), "\(rows) x \(c) x \(hidden), set \(set)")
      }
    }

    struct Window: Sendable {
      var h, w, heads, d, window: Int
      var pooled: Bool
    }

    @Test(arguments: [
      Window(h: 8, w: 8, heads: 1, d: 32, window: 8, pooled: false),
      Window(h: 5, w: 9, heads: 2, d: 24, window: 7, pooled: false),
      Window(h: 6, w: 10, heads: 2, d: 5, window: 4, pooled: true),
      Window(h: 14, w: 2, heads: 1, d: 1, window: 14, pooled: true),
      Window(h: 1, w: 1, heads: 1, d: 4, window: 0, pooled: false),
      Window(h: 9, w: 11, heads: 3, d: 7, window: 0, pooled: false),
      Window(h: 8, w: 12, heads: 2, d: 24, window: 0, pooled: false),
      // One span of 480 tokens, and more: the last of one token, or of few.
      Window(h: 20, w: 24, heads: 1, d: 1, window: 0, pooled: false),
      Window(h: 13, w: 37, heads: 1, d: 2, window: 0, pooled: false),
      Window(h: 31, w: 31, heads: 1, d: 1, window: 0, pooled: false),
      Window(h: 22, w: 10, heads: 2, d: 3, window: 22, pooled: true),
    ])
    func windowAttention(_ s: Window) throws {
      var numbers = Numbers(next: 0)
      let dim = s.heads * s.d
      let (qkv, bias) = (numbers(s.h * s.w * 3 * dim), numbers(3 * dim))
      let count = s.h * s.w / (s.pooled ? 4 : 1) * dim
      try Self.onEachSet { set in
        var out = [Float](repeating: .nan, count: count)
        var call = ck_attention(
          qkv: nil, bias: nil, out: nil, h: Int32(s.h), w: Int32(s.w),
          heads: Int32(s.heads), d: Int32(s.d), window: Int32(s.window), pooled: s.pooled ? 1 : 0)
        qkv.withUnsafeBufferPointer { qkv in
          bias.withUnsafeBufferPointer { bias in
            out.withUnsafeMutableBufferPointer { out in
              call.qkv = qkv.baseAddress
              call.bias = bias.baseAddress
              call.out = out.baseAddress
              #expect(ck_attend(&call) == 0)
            }
          }
        }
        // Of what attention multiplies, half a bfloat16's last place may go one way here and the other there.
        let tolerance: Float = set == Int32(CK_AVX512_BF16.rawValue) ? 4e-3 : 1e-5
        Self.expectEqual(out, Self.attentionTwin(s, qkv, bias, on: set), tolerance, "\(s), set \(set)")
      }
    }

    /// Partition with padding, attention, and back, as hieradet.py does it.
    static func attentionTwin(_ s: Window, _ qkv: [Float], _ bias: [Float], on set: Int32) -> [Float] {
      let dim = s.heads * s.d
      let step = s.pooled ? 2 : 1
      func value(_ part: Int, _ y: Int, _ x: Int, _ c: Int) -> Double {
        let inside = y < s.h && x < s.w
        return Double(taken(inside ? qkv[(y * s.w + x) * 3 * dim + part * dim + c] : bias[part * dim + c], on: set))
      }
      var out: [Float] = []
      for y in 0..<s.h / step {
        for x in 0..<s.w / step {
          let (rows, columns) = s.window > 0 ? (s.window, s.window) : (s.h, s.w)
          let (top, left) = (y * step / rows * rows, x * step / columns * columns)
          let keys = (0..<rows * columns).map { (top + $0 / columns, left + $0 % columns) }
          for head in stride(from: 0, to: dim, by: s.d) {
            let query = (head..<head + s.d).map { i in
              (0..<step * step).map { value(0, y * step + $0 / step, x * step + $0 % step, i) }.max() ?? 0
            }
            let scores = keys.map { ky, kx in
              exp(
                zip(query, head..<head + s.d).reduce(0) { $0 + $1.0 * value(1, ky, kx, $1.1) }
                  / Double(s.d).squareRoot())
            }
            let total = scores.reduce(0, +)
            let likely = scores.map { Double(taken(Float($0 / total), on: set)) }
            for c in head..<head + s.d {
              out.append(Float(zip(likely, keys).reduce(0) { $0 + $1.0 * value(2, $1.1.0, $1.1.1, c) }))
            }
          }
        }
      }
      return out
    }

    @Test(arguments: [(1, 1, 1), (1, 3, 2), (5, 4, 16), (6, 7, 35)])
    func resampling(_ h: Int, _ w: Int, _ c: Int) throws {
      var numbers = Numbers(next: 0)
      let (input, skip) = (numbers(h * w * c), numbers(4 * h * w * c))
      func at(_ y: Int, _ x: Int, _ i: Int) -> Float {
        input[(min(max(y, 0), h - 1) * w + min(max(x, 0), w - 1)) * c + i]
      }
      var doubled: [Float] = []
      for y in 0..<2 * h {
        for x in 0..<2 * w {
          // Half-pixel centres: source = (place + 0.5) / 2 - 0.5.
          let (sy, sx) = (max((Double(y) + 0.5) / 2 - 0.5, 0), max((Double(x) + 0.5) / 2 - 0.5, 0))
          let (y0, x0) = (Int(sy), Int(sx))
          let (fy, fx) = (Float(sy) - Float(y0), Float(sx) - Float(x0))
          for i in 0..<c {
            let upper = at(y0, x0, i) * (1 - fx) + at(y0, x0 + 1, i) * fx
            let lower = at(y0 + 1, x0, i) * (1 - fx) + at(y0 + 1, x0 + 1, i) * fx
            doubled.append(upper * (1 - fy) + lower * fy)
          }
        }
      }
      try Self.onEachSet { set in
        let tensor = try Tensor(h, w, c, input)
        Self.expectEqual(try upsample(tensor, relu: false).array(), doubled, 1e-6, "upsample, set \(set)")
        let joined = try upsample(tensor, adding: Tensor(2 * h, 2 * w, c, skip))
        Self.expectEqual(joined.array(), zip(doubled, skip).map { max($0 + $1, 0) }, 1e-6, "join, set \(set)")
        // Pooling what has even sides.
        let wide = try Tensor(2 * h, 2 * w, c, skip)
        func four(_ y: Int, _ x: Int, _ i: Int) -> [Float] {
          [(0, 0), (0, 1), (1, 0), (1, 1)].map { skip[((2 * y + $0.0) * 2 * w + 2 * x + $0.1) * c + i] }
        }
        let places = (0..<h * w * c).map { four($0 / c / w, $0 / c % w, $0 % c) }
        Self.expectEqual(try maximumPool(wide).array(), places.map { $0.max() ?? 0 }, 0, "maximum, set \(set)")
        Self.expectEqual(
          try averagePool(wide).array(), places.map { $0.reduce(0, +) / 4 }, 1e-6, "average, set \(set)")
      }
    }

    @Test func elementwise() throws {
      let x = stride(from: Float(-100), through: 100, by: 0.037).map { $0 }
      try Self.onEachSet { set in
        var out = x
        ck_sigmoid(&out, Int32(x.count))
        Self.expectEqual(out, x.map { Float(1 / (1 + exp(-Double($0)))) }, 2e-7, "sigmoid, set \(set)")
        let logits = Array(x.prefix(x.count / 4 * 4))
        var unsure = [Float](repeating: 0, count: logits.count / 4)
        ck_unsure(logits, &unsure, Int32(unsure.count), 4)
        let expected = unsure.indices.map { p in
          1 - (0..<3).reduce(0) { $0 + abs(tanh(Double(logits[p * 4 + $1]) / 2)) } / 3
        }
        Self.expectEqual(unsure, expected.map { Float($0) }, 1e-6, "unsure, set \(set)")
      }
    }
  }
}
