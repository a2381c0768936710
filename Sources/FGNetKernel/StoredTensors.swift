internal import CHDF5

/// The formats of weights files, as their attribute `format` has it.
public enum WeightsFormat: String, Sendable, CaseIterable {
  /// A whole network: `WeightsFile`.
  case network = "fgnet-weights-1"
  /// SAM2's image encoder: `ImageEncoderFile`.
  case imageEncoder = "fgnet-image-encoder-1"

  /// The format of a file.
  /// - Throws: `unreadableWeights`, `unknownFormat`, naming the file.
  public init(path: String) throws(KernelError) {
    let file = try StoredTensors.open(path)
    defer { H5Fclose(file) }
    self = try StoredTensors.format(file, path, expecting: Self.allCases)
  }
}

/// What a weights file holds in its root group, read whole into memory: string attributes, and one float32 dataset for
/// each tensor.
struct StoredTensors {
  /// JSON.
  let architecture: String
  let inventory: [TensorSpec]
  private let attributes: [String: String]
  private let tensors: [String: [Float]]

  /// - Throws: `unreadableWeights`, `unknownFormat`, `badArchitecture` when that attribute is missing; all naming the
  ///   file.
  init(path: String, format: WeightsFormat) throws(KernelError) {
    let file = try Self.open(path)
    defer { H5Fclose(file) }
    _ = try Self.format(file, path, expecting: [format])
    guard let json = Self.attribute(file, "architecture") else {
      throw .badArchitecture(source: path, reason: "the attribute is missing")
    }
    architecture = json
    var attributes: [String: String] = [:]
    for name in ["card", "postprocessing"] { attributes[name] = Self.attribute(file, name) }
    self.attributes = attributes
    let read = try Self.readTensors(file, path)
    inventory = TensorSpec.sorted(read.map(\.spec))
    tensors = Dictionary(read.map { ($0.spec.key, $0.values) }, uniquingKeysWith: { first, _ in first })
  }

  /// Empty when absent.
  func attribute(_ name: String) -> String { attributes[name] ?? "" }
  /// Empty when absent.
  func values(of spec: TensorSpec) -> [Float] { tensors[spec.key] ?? [] }

  fileprivate static func open(_ path: String) throws(KernelError) -> hid_t {
    chdf5_silence()
    let file = chdf5_open_for_reading(path)
    guard file >= 0 else {
      throw .unreadableWeights(file: path, reason: "missing, truncated, or not an HDF5 file")
    }
    return file
  }

  fileprivate static func format(
    _ file: hid_t, _ path: String, expecting expected: [WeightsFormat]
  ) throws(KernelError) -> WeightsFormat {
    let found = attribute(file, "format")
    guard let format = found.flatMap(WeightsFormat.init(rawValue:)), expected.contains(format) else {
      throw .unknownFormat(
        file: path, found: found.map { "\"\($0)\"" } ?? "none",
        expected: expected.map { "\"\($0.rawValue)\"" }.joined(separator: " or "))
    }
    return format
  }

  /// A string attribute of fixed or variable length, without the padding.
  static func attribute(_ object: hid_t, _ name: String) -> String? {
    guard H5Aexists(object, name) > 0 else { return nil }
    let attribute = H5Aopen(object, name, 0)
    guard attribute >= 0 else { return nil }
    defer { H5Aclose(attribute) }
    let type = H5Aget_type(attribute)
    defer { H5Tclose(type) }
    guard H5Tget_class(type) == H5T_STRING else { return nil }
    if H5Tis_variable_str(type) > 0 {
      var text: UnsafeMutablePointer<CChar>?
      guard H5Aread(attribute, type, &text) >= 0, let text else { return nil }
      defer { H5free_memory(text) }
      return String(cString: text)
    }
    var bytes = [UInt8](repeating: 0, count: H5Tget_size(type))
    guard H5Aread(attribute, type, &bytes) >= 0 else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  private static func readTensors(_ file: hid_t, _ path: String) throws(KernelError) -> [(
    spec: TensorSpec, values: [Float]
  )] {
    var info = H5G_info_t()
    guard H5Gget_info(file, &info) >= 0 else { throw .unreadableWeights(file: path, reason: "it has no root group") }
    var read: [(TensorSpec, [Float])] = []
    for index in 0..<info.nlinks {
      let length = chdf5_link_name(file, index, nil, 0)
      guard length > 0 else { throw .unreadableWeights(file: path, reason: "link \(index) has no name") }
      var bytes = [CChar](repeating: 0, count: length + 1)
      _ = chdf5_link_name(file, index, &bytes, length + 1)
      let key = String(decoding: bytes.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let dataset = chdf5_open_dataset(file, key)
      guard dataset >= 0 else { throw .unreadableWeights(file: path, reason: "\(key) is not a dataset") }
      defer { H5Dclose(dataset) }
      guard let tensor = readTensor(dataset) else {
        throw .unreadableWeights(file: path, reason: "\(key) is damaged or does not hold float32 numbers")
      }
      read.append((TensorSpec(key: key, shape: tensor.shape), tensor.values))
    }
    return read
  }

  /// nil when the dataset is not float32 or does not read.
  static func readTensor(_ dataset: hid_t) -> (shape: [Int], values: [Float])? {
    let type = H5Dget_type(dataset)
    defer { H5Tclose(type) }
    guard H5Tget_class(type) == H5T_FLOAT, H5Tget_size(type) == 4 else { return nil }
    let space = H5Dget_space(dataset)
    defer { H5Sclose(space) }
    let rank = H5Sget_simple_extent_ndims(space)
    guard rank >= 0 else { return nil }
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    guard H5Sget_simple_extent_dims(space, &extents, nil) >= 0 else { return nil }
    let shape = extents.map { Int(clamping: $0) }
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      // Larger than any network: a damaged header, not a tensor.
      guard !overflow, product <= 1 << 31 else { return nil }
      count = product
    }
    var values = [Float](repeating: 0, count: count)
    guard chdf5_read_floats(dataset, &values) >= 0 else { return nil }
    return (shape, values)
  }
}
