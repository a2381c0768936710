public import Domain

extension SectionStore {
  /// A window of a section's fragments: labels, 0 where there is none.
  /// - Throws: As `read`; `.corrupt` where the section is smaller or has no fragments.
  public func readFragments(_ name: String, _ window: PlaneWindow) throws(VolumeError) -> Plane<UInt32> {
    let labels = try readWindow(name) { reader throws(VolumeError) in
      try reader.readWindow("fragments", .u32, window, zero: UInt32(0))
    }
    return Plane(height: window.height, width: window.width, storage: labels)
  }

  /// A window of one of a section's affinities; nil where the section has none.
  /// - Parameters:
  ///   - part: `.affinities`, or `.coarse`, with a window on the half size.
  ///   - axis: 0, 1, 2: z, y, x.
  /// - Throws: As `read`; `.corrupt` where the section is smaller.
  public func readAffinities(
    _ name: String, _ part: SectionParts = .affinities, axis: Int, _ window: PlaneWindow
  ) throws(VolumeError) -> Plane<UInt8>? {
    let dataset = part == .coarse ? "coarse_affinities" : "affinities"
    let values = try readWindow(name) { reader throws(VolumeError) -> [UInt8]? in
      guard reader.has(dataset) else { return nil }
      return try reader.readWindow(dataset, index: axis, .u8, window, zero: UInt8(0))
    }
    return values.map { Plane(height: window.height, width: window.width, storage: $0) }
  }

  private func readWindow<T>(
    _ name: String, _ body: (H5Reader) throws(VolumeError) -> T
  ) throws(VolumeError) -> T {
    let path = try checkedPath(name)
    return try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      return try body(input.reader())
    }
  }
}
