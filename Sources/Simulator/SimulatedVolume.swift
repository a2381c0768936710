public import Domain

/// One section of a simulated volume.
public struct SimulatedSection: Sendable, Equatable {
  /// The section's number.
  public let z: SectionNumber
  /// What is wrong with the image, if anything.
  public let fault: SimulationFault?
  /// (height, width) as a 16-bit detector gives it: 256 times the 8-bit grey.
  public let image16: Plane<UInt16>
  /// (height, width) neurites: 0 on membranes, myelin and outside; otherwise the number of the neurite, the same in every section.
  /// Numbers are sparse in 1...2³²-1.
  public let labels: Plane<UInt32>

  /// (height, width) greys, 0...255.
  public var image: Plane<UInt8> {
    Plane(height: image16.height, width: image16.width, storage: image16.storage.map { UInt8($0 >> 8) })
  }
}

/// Serial-section electron microscopy of neuropil that never was, with its neurites known.
///
/// A section is a pure function of the options and its number: no other section is computed for it, and sections can be
/// asked for in any order, from any thread. Memory and time are those of one section.
public struct SimulatedVolume: Sendable {
  /// What the volume was made with.
  public let options: SimulationOptions
  private let field: NeuriteField

  /// - Throws: `SimulationError` for the first option out of its range.
  public init(_ options: SimulationOptions = SimulationOptions()) throws(SimulationError) {
    try options.validate()
    self.options = options
    field = try NeuriteField(options)
  }

  /// What is wrong with section `z`: what `options.faults` says, else a draw by `options.faultRates`.
  public func fault(at z: SectionNumber) -> SimulationFault? {
    if let given = options.faults[z] { return given }
    var draw = Hash.unit(Hash.key(Hash.key(options.seed, 5), Int(z)))
    for (fault, rate) in options.faultRates.inOrder {
      if draw < rate { return fault }
      draw -= rate
    }
    return nil
  }

  /// Computes section `z`.
  /// - Throws: `SimulationError.section` if `z` is not in `FragmentID.sectionNumbers`.
  public func section(_ z: SectionNumber) throws(SimulationError) -> SimulatedSection {
    guard FragmentID.sectionNumbers.contains(z) else { throw .section(Int(z)) }
    let (height, width) = (options.height, options.width)
    let depth = Double(z) * options.sectionNanometres
    let tissue = field.tissue(at: depth)
    let textureKey = Hash.key(options.seed, 8)
    let map = CellMap(
      tissue, height: height, width: width, pixel: options.pixelNanometres, origin: origin(of: z), depth: depth,
      key: Hash.key(options.seed, 7))
    let painter = TissuePainter(
      tissue, segments: map.segments, depth: depth, thickness: options.sectionNanometres, key: textureKey)
    var greys = [Float](repeating: 0, count: height * width)
    var labels = [UInt32](repeating: 0, count: height * width)
    map.forEachPixel { y, x, cell in
      let painted = painter.paint(cell)
      greys[y * width + x] = painted.grey
      labels[y * width + x] = painted.label
    }
    let fault = fault(at: z)
    return SimulatedSection(
      z: z, fault: fault, image16: Microscope(options: options, z: z, fault: fault).image(of: greys),
      labels: Plane(height: height, width: width, storage: labels))
  }

  /// Where pixel (0, 0) of a section lies, nanometres: sections are not perfectly aligned.
  private func origin(of z: SectionNumber) -> (y: Double, x: Double) {
    var random = RandomStream(key: Hash.key(Hash.key(options.seed, 9), Int(z)))
    let reach = options.jitter * options.pixelNanometres
    return (random.uniform(-1, 1) * reach, random.uniform(-1, 1) * reach)
  }
}
