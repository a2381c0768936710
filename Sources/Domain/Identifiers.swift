/// The number of a section along z, as the microscope counts it. May be negative.
public typealias SectionNumber = Int32

/// A fragment (supervoxel) of one section.
///
/// The id is a pure function of the section, of what the fragments were computed from, and of the fragment's place in
/// raster order, so it is the same whatever the order of arrival, and a new computation never reuses an old id:
///
///     bit 62...45  z + 131072        (18 bits)
///     bit 44...23  signature         (22 bits of the SHA-256 of all inputs)
///     bit 22...0   label             (23 bits, 1... in raster order of the first pixel)
///
/// Ids order by z first. They fit PostgreSQL's signed `bigint`.
public struct FragmentID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64
  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Sections that can be numbered.
  public static let sectionNumbers: ClosedRange<SectionNumber> = -131_072...131_071
  /// Largest label a section can hold.
  public static let maximumLabel: UInt32 = (1 << 23) - 1

  /// - Precondition: z and label are in their ranges; label is not 0; `signature` fits 22 bits.
  @inlinable
  public init(z: SectionNumber, signature: UInt32, label: UInt32) {
    precondition(z >= -131_072 && z <= 131_071 && signature < 1 << 22 && label > 0 && label < 1 << 23)
    rawValue = UInt64(Int64(z) + 131_072) << 45 | UInt64(signature) << 23 | UInt64(label)
  }

  @inlinable public var z: SectionNumber { SectionNumber(Int64(rawValue >> 45) - 131_072) }
  @inlinable public var signature: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 23) & 0x3F_FFFF }
  @inlinable public var label: UInt32 { UInt32(truncatingIfNeeded: rawValue) & 0x7F_FFFF }
  public var description: String { String(rawValue) }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A neuron, or a piece of one: the union of fragments over accepted edges. Its id is the smallest fragment id in it,
/// so the older id survives a merge and the id does not depend on the order of arrival.
public struct SegmentID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64
  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public var description: String { String(rawValue) }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
