internal import CKernels

/// Where a network's weights come from.
public protocol WeightsSource {
  /// For error messages: the file, or what stands in for it.
  var name: String { get }
  /// Everything the source has.
  var inventory: [TensorSpec] { get }
  /// The elements of one tensor of the inventory, row-major.
  func values(of spec: TensorSpec) throws(KernelError) -> [Float]
}

/// The tensors of an architecture, all present, none left over, of the right shapes, and finite.
struct Weights {
  private let source: any WeightsSource
  private let specs: [String: TensorSpec]

  /// - Throws: `mismatchedWeights` with every fault at once.
  init(_ source: any WeightsSource, expecting expected: [TensorSpec]) throws(KernelError) {
    let found = Dictionary(source.inventory.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    let wanted = Dictionary(expected.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    let expected = TensorSpec.sorted(expected)
    let missing = expected.filter { found[$0.key] == nil }.map(\.key)
    let unused = TensorSpec.sorted(source.inventory).filter { wanted[$0.key] == nil }.map(\.key)
    let misshapen = expected.compactMap { spec -> String? in
      guard let other = found[spec.key], other.shape != spec.shape else { return nil }
      return "\(spec.key) is \(other.shape), expected \(spec.shape)"
    }
    guard missing.isEmpty && unused.isEmpty && misshapen.isEmpty else {
      throw .mismatchedWeights(source: source.name, missing: missing, unused: unused, misshapen: misshapen)
    }
    self.source = source
    specs = wanted
  }

  /// - Precondition: `key` is one of the expected tensors.
  func callAsFunction(_ key: String) throws(KernelError) -> [Float] {
    guard let spec = specs[key] else { preconditionFailure("\(key) is not a tensor of the architecture") }
    let values = try source.values(of: spec)
    guard ck_all_finite(values, values.count) == 1 else { throw .notFinite(what: "\(key) of \(source.name)") }
    return values
  }

  func shape(_ key: String) -> [Int] { specs[key]?.shape ?? [] }
  func contains(_ key: String) -> Bool { specs[key] != nil }
}

/// Weights made by a formula (training/README.md, "Goldens"): the same on every machine, for tests and measurements.
public struct FormulaWeights: WeightsSource {
  public let seed: UInt64
  public let inventory: [TensorSpec]
  public var name: String { "the formula with seed \(seed)" }
  private let starts: [String: UInt64]

  /// One sequence runs through all tensors, keys sorted by their bytes.
  public init(seed: UInt64, tensors: [TensorSpec]) {
    self.seed = seed
    inventory = TensorSpec.sorted(tensors)
    var starts: [String: UInt64] = [:]
    var next: UInt64 = 0
    for spec in inventory {
      starts[spec.key] = next
      next += UInt64(spec.count)
    }
    self.starts = starts
  }

  /// u(seed, index): -0.5 ..< 0.5 in steps of 2^-24.
  public static func uniform(seed: UInt64, index: UInt64) -> Double {
    ck_centred(seed, index)
  }

  public func values(of spec: TensorSpec) -> [Float] {
    let (scale, offset) = Self.range(spec)
    let start = starts[spec.key] ?? 0
    return [Float](unsafeUninitializedCapacity: spec.count) { buffer, count in
      ck_uniform(seed, start, scale, offset, buffer.baseAddress, spec.count)
      count = spec.count
    }
  }

  private static func range(_ spec: TensorSpec) -> (scale: Double, offset: Double) {
    let key = spec.key
    if key.hasSuffix("norm1.weight") || key.hasSuffix("norm2.weight") { return (0.2, 1) }
    if key.hasSuffix("gamma") { return (0.5, 0.5) }
    if key.hasSuffix("bias") { return (0.2, 0) }
    if key.contains("pos_embed") { return (0.5, 0) }
    return ((12 / Double(spec.shape.dropFirst().reduce(1, *))).squareRoot(), 0)
  }
}
