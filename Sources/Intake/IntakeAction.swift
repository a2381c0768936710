public import Domain

/// What a look at a file's structure said.
public enum ProbeOutcome: Sendable, Equatable {
  /// With the number of sections in it.
  case complete(sections: Int = 1)
  case incomplete(reason: String)
  case unusable(reason: String)
  /// Nothing is known of it: it cannot be opened, or reading fails.
  case unreadable(reason: String)
}

/// A file that is whole and may be taken in.
public struct ReadyFile: Sendable, Equatable {
  public var path: String
  public var z: SectionNumber
  public var volume: String?
  /// The file's state when it was found whole.
  public var status: FileStatus
  /// Sections in it: `z`, `z + 1`, ...
  public var sections: Int
  public init(path: String, z: SectionNumber, volume: String?, status: FileStatus, sections: Int = 1) {
    self.path = path
    self.z = z
    self.volume = volume
    self.status = status
    self.sections = sections
  }
}

/// What is to be done with a file.
public enum IntakeAction: Sendable, Equatable {
  case ready(ReadyFile)
  /// To be set aside with a reason for the operator. The path of a file whose name is not UTF-8 has %XX in it.
  case quarantine(path: String, reason: String)
  /// Not a section; told once for each file.
  case ignored(path: String, reason: String)
  /// A file that was known is not there any more: whatever was said of it is settled.
  case gone(path: String)

  /// Ready files by section number come first, the rest by kind, then path.
  static func precedes(_ a: IntakeAction, _ b: IntakeAction) -> Bool {
    if case .ready(let x) = a, case .ready(let y) = b, x.z != y.z { return x.z < y.z }
    if a.rank != b.rank { return a.rank < b.rank }
    return a.path.utf8.lexicographicallyPrecedes(b.path.utf8)
  }

  private var rank: Int {
    switch self {
    case .ready: 0
    case .quarantine: 1
    case .ignored: 2
    case .gone: 3
    }
  }

  private var path: String {
    switch self {
    case .ready(let file): file.path
    case .quarantine(let path, _), .ignored(let path, _), .gone(let path): path
    }
  }
}
