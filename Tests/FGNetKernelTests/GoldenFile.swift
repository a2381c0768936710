import CHDF5
import CKernels
import Foundation

@testable import FGNetKernel

/// What the training code's network gives for weights and input that anyone can make again (training/README.md,
/// "Goldens").
struct GoldenFile {
  struct Output {
    var key: String
    var shape: [Int]
    var mean: Double
    var deviation: Double
    /// All elements, or one out of each of 2048 equal parts.
    var values: [Float]

    var count: Int { shape.reduce(1, *) }
    /// The element's index in the whole tensor.
    func index(_ k: Int) -> Int {
      guard count > values.count else { return k }
      // (k + t) * count / 2048, t = u(0, k) + 0.5, in units of 2^-24.
      let t = Int((FormulaWeights.uniform(seed: 0, index: UInt64(k)) + 0.5) * 16_777_216)
      return (((k << 24) + t) * count / values.count) >> 24
    }
  }

  var architecture: String
  var shape: [Int]
  var weightsSeed: UInt64
  var inputSeed: UInt64
  var outputs: [Output]
  /// Shape and the first elements of each tensor; empty where another golden of the same weights has them.
  var weights: [(key: String, shape: [Int], first: [Float])]

  struct Unreadable: Error, CustomStringConvertible {
    var description: String
  }

  static func path(_ name: String) throws -> String {
    guard let url = Bundle.module.url(forResource: "Golden/\(name)", withExtension: "h5") else {
      throw Unreadable(description: "no golden \(name)")
    }
    return url.path
  }

  init(_ name: String) throws {
    chdf5_silence()
    let file = chdf5_open_for_reading(try Self.path(name))
    defer { H5Fclose(file) }
    let root = chdf5_open_group(file, name)
    guard root >= 0 else { throw Unreadable(description: "golden \(name) has no group \(name)") }
    defer { H5Gclose(root) }
    architecture = StoredTensors.attribute(root, "architecture") ?? ""
    shape = try Self.integers(root, "shape")
    weightsSeed = UInt64(try Self.integers(root, "weights_seed")[0])
    inputSeed = UInt64(try Self.integers(root, "input_seed")[0])
    outputs = try Self.members(root, "outputs") { key, dataset in
      Output(
        key: key, shape: try Self.integers(dataset, "shape"), mean: try Self.double(dataset, "mean"),
        deviation: try Self.double(dataset, "std"), values: try Self.floats(dataset, key))
    }
    weights = try Self.members(root, "weights") { key, dataset in
      (key, try Self.integers(dataset, "shape"), try Self.floats(dataset, key))
    }
  }

  private static func floats(_ dataset: hid_t, _ key: String) throws -> [Float] {
    guard let tensor = StoredTensors.readTensor(dataset) else { throw Unreadable(description: "golden \(key)") }
    return tensor.values
  }

  private static func members<T>(
    _ root: hid_t, _ name: String, _ body: (String, hid_t) throws -> T
  ) throws -> [T] {
    let group = chdf5_open_group(root, name)
    guard group >= 0 else { throw Unreadable(description: "no group \(name)") }
    defer { H5Gclose(group) }
    var info = H5G_info_t()
    H5Gget_info(group, &info)
    return try (0..<info.nlinks).map { index in
      var bytes = [CChar](repeating: 0, count: 256)
      let length = chdf5_link_name(group, index, &bytes, 256)
      let key = String(decoding: bytes.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let dataset = chdf5_open_dataset(group, key)
      defer { H5Dclose(dataset) }
      return try body(key, dataset)
    }
  }

  static func integers(_ object: hid_t, _ name: String) throws -> [Int] {
    let attribute = H5Aopen(object, name, 0)
    guard attribute >= 0 else { throw Unreadable(description: "no attribute \(name)") }
    defer { H5Aclose(attribute) }
    let space = H5Aget_space(attribute)
    defer { H5Sclose(space) }
    var values = [Int64](repeating: 0, count: Int(H5Sget_simple_extent_npoints(space)))
    chdf5_read_int64s_of_attribute(attribute, &values)
    return values.map { Int($0) }
  }

  static func double(_ object: hid_t, _ name: String) throws -> Double {
    let attribute = H5Aopen(object, name, 0)
    guard attribute >= 0 else { throw Unreadable(description: "no attribute \(name)") }
    defer { H5Aclose(attribute) }
    var value = 0.0
    chdf5_read_doubles_of_attribute(attribute, &value)
    return value
  }
}

/// The golden input: row-major float32(sqrt(12) * u).
func goldenInput(seed: UInt64, start: Int, count: Int) -> [Float] {
  [Float](unsafeUninitializedCapacity: count) { buffer, initialised in
    ck_uniform(seed, UInt64(start), 12.squareRoot(), 0, buffer.baseAddress, count)
    initialised = count
  }
}
