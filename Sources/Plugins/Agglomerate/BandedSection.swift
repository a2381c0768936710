public import Domain

/// The section below, as the region graph needs it.
public struct PreviousSection: Sendable {
  public var fragments: FragmentSection
  public var z: SectionNumber
  public var signature: UInt32
  public init(fragments: FragmentSection, z: SectionNumber, signature: UInt32) {
    self.fragments = fragments
    self.z = z
    self.signature = signature
  }
}

/// Some rows of a section, as the region graph reads it; all arrays row by row.
public struct SectionBand: Sendable {
  public var labels: [UInt32]
  public var z: [UInt8]
  public var y: [UInt8]
  public var x: [UInt8]
  public init(labels: [UInt32], z: [UInt8], y: [UInt8], x: [UInt8]) {
    self.labels = labels
    self.z = z
    self.y = y
    self.x = x
  }
}

/// A section that is read some rows at a time.
public struct BandedSection {
  public var height: Int
  public var width: Int
  /// Number of fragments.
  public var count: Int
  /// Rows of a band.
  public var rows: Int
  /// Called for each band in turn, twice.
  public var band: (Range<Int>) throws -> SectionBand
  public init(height: Int, width: Int, count: Int, rows: Int, band: @escaping (Range<Int>) throws -> SectionBand) {
    self.height = height
    self.width = width
    self.count = count
    self.rows = rows
    self.band = band
  }
}

/// The section below, read some rows at a time.
public struct BandedPrevious {
  public var z: SectionNumber
  public var signature: UInt32
  public var height: Int
  public var width: Int
  /// Number of fragments.
  public var count: Int
  public var labels: (Range<Int>) throws -> [UInt32]
  public init(
    z: SectionNumber, signature: UInt32, height: Int, width: Int, count: Int,
    labels: @escaping (Range<Int>) throws -> [UInt32]
  ) {
    self.z = z
    self.signature = signature
    self.height = height
    self.width = width
    self.count = count
    self.labels = labels
  }
}
