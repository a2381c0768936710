public import Domain

/// A volume as recorded.
public struct VolumeRow: Sendable, Equatable {
  public var id: Int64
  public var name: String
  /// Nanometres.
  public var voxelSize: VoxelSize
  /// Shape of every section; nil until the first one came.
  public var height: Int?
  public var width: Int?
  /// Last section, if the operator said that the volume is finished.
  public var lastZ: SectionNumber?
}

/// Size of a voxel, nanometres.
public struct VoxelSize: Sendable, Equatable {
  public var z: Double
  public var y: Double
  public var x: Double
  public init(z: Double, y: Double, x: Double) {
    self.z = z
    self.y = y
    self.x = x
  }
}

public enum SectionState: String, Sendable, CaseIterable {
  case received, provisional, final, missing, superseded
  /// A stage failed on it.
  case setAside = "set_aside"
}

/// The current row of a section.
public struct SectionRow: Sendable, Equatable {
  public var id: Int64
  public var z: SectionNumber
  public var revision: Int
  public var state: SectionState
  /// Hexadecimal; nil while missing.
  public var sha256: String?
  public var sourcePath: String?
  public var height: Int?
  public var width: Int?
  public var bitDepth: Int?
  /// Which of the file's pages or planes it is.
  public var plane: Int
  public var meanIntensity: Double?
  public var stdIntensity: Double?
  public var runID: Int64?
  /// HDF5 file that belongs to the fragment rows.
  public var file: String?
  public var signature: String?
  public var note: String?
}

extension SectionRow {
  /// Where a stack ends: its highest present section, or, of those right above it that are missing or set aside, the highest.
  public static func top(of rows: some Collection<SectionRow>) -> SectionNumber? {
    let absent = Set(rows.filter { $0.state == .missing || $0.state == .setAside }.map(\.z))
    guard var top = rows.map(\.z).filter({ !absent.contains($0) }).max() else { return absent.max() }
    while absent.contains(top + 1) { top += 1 }
    return top
  }
}

/// A file as `stat` shows it; equal stamps are taken for equal bytes.
public struct FileStamp: Sendable, Hashable {
  public var path: String
  /// Bytes.
  public var size: Int64
  /// Nanoseconds since 1970.
  public var mtimeNs: Int64
  public init(path: String, size: Int64, mtimeNs: Int64) {
    self.path = path
    self.size = size
    self.mtimeNs = mtimeNs
  }
}

/// What a file says of one section in it.
public struct FileFacts: Sendable {
  /// Which of the file's pages or planes the section is, from 0, and how many there are.
  public var plane: Int
  public var planes: Int
  /// Nanometres; nil if it does not tell.
  public var pixelSize: (y: Double, x: Double)?
  /// A sentence for people.
  public var warning: String?
  public init(plane: Int = 0, planes: Int = 1, pixelSize: (y: Double, x: Double)? = nil, warning: String? = nil) {
    self.plane = plane
    self.planes = planes
    self.pixelSize = pixelSize
    self.warning = warning
  }
}

/// Figures of a section's pixels that tell a bad acquisition.
public struct SectionQuality: Sendable, Equatable {
  /// Share of the pixels with the smallest and the largest value there is, 0...1.
  public var darkFraction: Double
  public var brightFraction: Double
  /// Root mean square difference of neighbouring pixels over their standard deviation; nil if all pixels are equal.
  public var sharpness: Double?
  public init(darkFraction: Double, brightFraction: Double, sharpness: Double?) {
    self.darkFraction = darkFraction
    self.brightFraction = brightFraction
    self.sharpness = sharpness
  }
}

/// A current section with a warning.
public struct SectionWarning: Sendable, Equatable {
  public var z: SectionNumber
  public var text: String
  public init(z: SectionNumber, text: String) {
    self.z = z
    self.text = text
  }
}

/// What `Record.receive` made of a file.
public enum ReceiveOutcome: Sendable, Equatable {
  /// A section seen for the first time; `sameBytesAs` names another z with equal bytes, which deserves a warning.
  case new(sectionID: Int64, sameBytesAs: SectionNumber?)
  /// The bytes that the section has already.
  case duplicate(z: SectionNumber)
  /// Other bytes for a known section.
  case revision(sectionID: Int64, revision: Int)
  /// Not of the volume's shape; nothing was recorded.
  case wrongSize(expectedHeight: Int, expectedWidth: Int)
  /// A section that had been declared missing.
  case filledGap(sectionID: Int64)
}

/// A file set aside.
public struct QuarantineRow: Sendable, Equatable {
  public var file: FileStamp
  public var reason: String
  /// ISO time.
  public var noticedAt: String
}

/// An edge of the region graph with the decision on it.
public struct EdgeRow: Sendable, Equatable {
  public var a: FragmentID
  public var b: FragmentID
  /// Pixel pairs.
  public var contactArea: Int
  public var meanAffinity: Float
  public var score: Float
  public var accepted: Bool
  public init(
    a: FragmentID, b: FragmentID, contactArea: Int, meanAffinity: Float, score: Float, accepted: Bool
  ) {
    self.a = a
    self.b = b
    self.contactArea = contactArea
    self.meanAffinity = meanAffinity
    self.score = score
    self.accepted = accepted
  }
}

/// How many pixels a provisional and a final fragment share.
public struct SettledOverlap: Sendable, Equatable {
  public var provisional: FragmentID
  public var final: FragmentID
  public var pixels: Int
  public init(provisional: FragmentID, final: FragmentID, pixels: Int) {
    self.provisional = provisional
    self.final = final
    self.pixels = pixels
  }
}

/// How many pixels a final fragment and one that takes its place share.
public struct ReplacedOverlap: Sendable, Equatable {
  public var old: FragmentID
  public var new: FragmentID
  public var pixels: Int
  public init(old: FragmentID, new: FragmentID, pixels: Int) {
    self.old = old
    self.new = new
    self.pixels = pixels
  }
}

/// All rows of one section.
public struct SectionCommit: Sendable {
  public var z: SectionNumber
  /// HDF5 file that belongs to the rows; in place before the commit.
  public var file: String
  /// SHA-256 of everything the products were computed from, hexadecimal.
  public var signature: String
  public var fragments: [(summary: FragmentSummary, id: FragmentID)]
  /// Edges within the section and to the previous present one; a < b, b in this section.
  public var edges: [EdgeRow]
  /// For a final commit: what became of the provisional fragments.
  public var settled: [SettledOverlap]
  /// For a final commit that replaces final fragments: how the old ones lie on the new ones. Corrections by people follow
  /// the largest overlap; without any they end, and a conflict says so.
  public var replaced: [ReplacedOverlap]
  /// If given, the commit is refused when the section has a newer row (a revision came in between).
  public var sectionID: Int64?
  /// Fragment of each pixel; nil where the database has it (`Record.hasLabels`).
  public var labels: LabelTiles?
  public init(
    z: SectionNumber, file: String, signature: String, fragments: [(summary: FragmentSummary, id: FragmentID)],
    edges: [EdgeRow], settled: [SettledOverlap] = [], replaced: [ReplacedOverlap] = [], sectionID: Int64? = nil,
    labels: LabelTiles? = nil
  ) {
    self.labels = labels
    self.z = z
    self.file = file
    self.signature = signature
    self.fragments = fragments
    self.edges = edges
    self.settled = settled
    self.replaced = replaced
    self.sectionID = sectionID
  }
}

/// What a final commit did.
public struct CommitOutcome: Sendable, Equatable {
  public var operation: Int64
  /// Whether final rows were replaced.
  public var isRevision: Bool
  /// In the order recorded.
  public var events: [LineageEvent]
}

/// Where a volume stands.
public struct VolumeStatus: Sendable, Equatable {
  /// Current sections in each state that occurs.
  public var sections: [SectionState: Int]
  public var lastOperation: OperationRow?
  public var openQuarantine: Int
}

public struct OperationRow: Sendable, Equatable {
  public var id: Int64
  public var kind: String
  public var firstZ: SectionNumber?
  public var z: SectionNumber?
  public var runID: Int64?
  /// ISO time.
  public var at: String
}
