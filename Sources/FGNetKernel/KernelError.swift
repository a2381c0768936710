/// A failure of the network or of its weights, in words for the operator. One line, safe for a log.
public enum KernelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file could not be opened as HDF5: missing, truncated, or something else.
  case unreadableWeights(file: String, reason: String)
  /// The file is HDF5 but not a weights file, or not of the kind or the version that is needed.
  case unknownFormat(file: String, found: String, expected: String)
  /// The architecture is not one that can be built.
  case badArchitecture(source: String, reason: String)
  /// Every key that is missing, unused or misshapen, each list in key order.
  case mismatchedWeights(source: String, missing: [String], unused: [String], misshapen: [String])
  /// A weight or a pixel is NaN or infinite.
  case notFinite(what: String)
  /// A section of a stack differs in shape from its neighbour, or is empty.
  case badSection(key: String, reason: String)
  case outOfMemory(bytes: Int)
  /// The scratch file for layers cannot be made or read.
  case scratch(directory: String, reason: String)
  /// A section needs more memory than the network may take: as a whole, or, where tiles are possible, for one tile.
  case overBudget(height: Int, width: Int, bytes: Int, budget: Int, byTiles: Bool)

  /// The machine's: another section would fare no better.
  public var isOfMachine: Bool {
    switch self {
    case .outOfMemory, .scratch, .overBudget: true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .unreadableWeights(let file, let reason): return "weights file \(file) cannot be read: \(reason)"
    case .unknownFormat(let file, let found, let expected):
      return "weights file \(file) has format \(found), expected \(expected)"
    case .badArchitecture(let source, let reason): return "architecture of \(source): \(reason)"
    case .mismatchedWeights(let source, let missing, let unused, let misshapen):
      let faults = [("missing", missing), ("unused", unused), ("misshapen", misshapen)].filter { !$0.1.isEmpty }
      let lists = faults.map { "\($0.0): \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
      return "weights of \(source) do not fit the architecture; \(lists)"
    case .notFinite(let what): return "\(what) holds a value that is not a finite number"
    case .badSection(let key, let reason): return "section \(key): \(reason)"
    case .scratch(let directory, let reason): return "the scratch file for layers in \(directory): \(reason)"
    case .overBudget(let height, let width, let bytes, let budget, let byTiles):
      let what = byTiles ? "the smallest tile of a section" : "a section, which is taken only as a whole,"
      return "\(what) of \(height) x \(width) pixels needs \(bytes) bytes for the network, \(budget) are allowed"
    case .outOfMemory(let bytes): return "out of memory: a tensor of \(bytes) bytes could not be allocated"
    }
  }
}
