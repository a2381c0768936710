import Domain

/// Where a stage from outside comes from, as the configuration says it.
public struct ExternalSource: Sendable {
  /// A program that is started and watched over.
  public struct Command: Sendable {
    /// The program, absolute, and its arguments.
    public var words: [String]
    /// All that it finds in its environment.
    public var environment: [String: String]
    /// Its working directory, which exists.
    public var directory: String
    /// Seconds it may take for an answer.
    public var timeLimit: Double
    /// Bytes each process of it may have for its own; 0: no limit.
    public var memoryLimit: Int
    /// The user and group it becomes; nil: the daemon's.
    public var user: (id: UInt32, group: UInt32)?
    /// Seconds before it is started again after a failure; doubled for each further one in a row, up to 30 s.
    public var firstPause = 0.5

    public init(
      words: [String], environment: [String: String], directory: String, timeLimit: Double, memoryLimit: Int,
      user: (id: UInt32, group: UInt32)? = nil
    ) {
      self.words = words
      self.environment = environment
      self.directory = directory
      self.timeLimit = timeLimit
      self.memoryLimit = memoryLimit
      self.user = user
    }
  }

  public enum Origin: Sendable {
    case command(Command)
    /// A shared object that lies in one of the folders.
    case library(path: String, folders: [String])
  }

  /// Name in the configuration.
  public var name: String
  public var kind: StageKind
  public var origin: Origin
  /// SHA-256 of what it consists of, hexadecimal: names its results.
  public var contentHash: String

  public init(name: String, kind: StageKind, origin: Origin, contentHash: String) {
    self.name = name
    self.kind = kind
    self.origin = origin
    self.contentHash = contentHash
  }
}

/// The volume a stage is made for.
public struct ExternalVolume: Sendable, Equatable {
  public var name: String
  public var voxelSize: VoxelNanometres
  public init(name: String, voxelSize: VoxelNanometres) {
    self.name = name
    self.voxelSize = voxelSize
  }
}

/// What a stage from outside says of itself.
public struct ExternalDescription: Sendable, Equatable {
  public var kind: StageKind
  /// Raised by its author whenever its results change for equal options.
  public var version: String
  public var summary: String
  /// Whether equal inputs give equal results, bit for bit. One that says no is used all the same; `stage-test` does not then
  /// hold it against it.
  public var isDeterministic = true
  public var options: [OptionDescription]
}

/// How far the results of a stage from outside look, with the options it was made with.
public struct ExternalReach: Sendable, Equatable {
  /// Pixels; nil: the whole section.
  public var halo: Int?
  /// Sections on each side.
  public var context = 0
  public var lookBehind = 0
  public var lookAhead = 0

  /// What a stage may ask for.
  static let halos = 0...4096
  static let contexts = 0...16
  static let behind = 0...64
  static let ahead = 0...16

  /// The halo in numbers: more than any section has pixels where it is all of it.
  var haloPixels: Int { halo ?? 1 << 20 }

  /// A sentence on the first value that is out of its range; nil if there is none.
  var fault: String? {
    if let halo, !Self.halos.contains(halo) { return "its halo is \(halo) pixels, but must be 0 to 4096, or none" }
    for (name, value, range) in [
      ("context", context, Self.contexts), ("look_behind", lookBehind, Self.behind),
      ("look_ahead", lookAhead, Self.ahead),
    ] where !range.contains(value) {
      return "its \(name) is \(value), but must be \(range.lowerBound) to \(range.upperBound)"
    }
    return nil
  }
}

/// One call of a stage.
enum ExternalCall {
  /// Intensities 0...1.
  case denoise(Plane<Float>)
  /// Sections of one shape, by place in the stack; affinities of `images[index]` are wanted.
  case affinity(images: [Plane<Float>], z: [SectionNumber], index: Int)
  case watershed(AffinitySection)
  case agglomerate(FlatWindow)
}

/// What a call gives, not yet looked at but for its size.
enum ExternalAnswer {
  /// As many as pixels.
  case image([Float])
  /// Three planes: z, y, x.
  case affinities([UInt8])
  case affinityFractions([Float])
  /// As many as pixels.
  case labels([UInt32])
  /// One of each for every edge that is decided.
  case decisions(accepted: [UInt8], scores: [Float])
}

/// Does what a stage from outside is asked for. One call at a time; those of several threads wait for each other.
protocol ExternalRunner: AnyObject, Sendable {
  var reach: ExternalReach { get }
  func answer(_ call: ExternalCall) throws(StageError) -> ExternalAnswer
  /// `goesOn` is called while a call waits, several times a second, on the thread of the call; false ends it.
  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool)
  /// Ends the call at work, and all that are made afterwards.
  func cancel()
}
