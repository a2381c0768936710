public import Domain

/// What can be wrong with a section. The labels of a faulty section are those of the intact one.
public enum SimulationFault: String, Sendable, CaseIterable {
  /// Lost: the image is black; a writer should leave the file out.
  case missing
  /// Out of focus.
  case blurred
  /// Little light and little contrast.
  case dark
  /// Displaced by 8 to 20 pixels.
  case shifted
  /// A dark fold across the section that swallows some of it.
  case folded
  /// A bright crack across the section that parts it.
  case cracked
}

/// The share of sections, 0...1, that have each fault. The sum is at most 1.
public struct SimulationFaultRates: Sendable, Equatable {
  public var missing: Double
  public var blurred: Double
  public var dark: Double
  public var shifted: Double
  public var folded: Double
  public var cracked: Double

  public init(
    missing: Double = 0, blurred: Double = 0, dark: Double = 0, shifted: Double = 0, folded: Double = 0,
    cracked: Double = 0
  ) {
    self.missing = missing
    self.blurred = blurred
    self.dark = dark
    self.shifted = shifted
    self.folded = folded
    self.cracked = cracked
  }

  var inOrder: [(fault: SimulationFault, rate: Double)] {
    [
      (.missing, missing), (.blurred, blurred), (.dark, dark), (.shifted, shifted), (.folded, folded),
      (.cracked, cracked),
    ]
  }
}

/// Everything a simulated volume depends on.
public struct SimulationOptions: Sendable, Equatable {
  /// Another seed is another piece of tissue.
  public var seed: UInt64
  /// Rows of a section, 1...16384.
  public var height: Int
  /// Columns of a section, 1...16384.
  public var width: Int
  /// Axons and glia per volume relative to mouse cortex, 0.25...4.
  public var density: Double
  /// Strength of the detector's noise, 0...4; 1 is like a good microscope's, 0 is none.
  public var noise: Double
  /// Largest displacement of a section against the tissue in y and x, pixels, 0...8. Labels move with the image.
  public var jitter: Double
  /// Edge of a pixel, 2...20 nm.
  public var pixelNanometres: Double
  /// Distance between sections, 5...100 nm.
  public var sectionNanometres: Double
  /// How often a section is faulty.
  public var faultRates: SimulationFaultRates
  /// Sections with a given fault, whatever the rates say.
  public var faults: [SectionNumber: SimulationFault]

  public init(
    seed: UInt64 = 1, height: Int = 512, width: Int = 512, density: Double = 1, noise: Double = 1, jitter: Double = 1,
    pixelNanometres: Double = 6, sectionNanometres: Double = 30,
    faultRates: SimulationFaultRates = SimulationFaultRates(), faults: [SectionNumber: SimulationFault] = [:]
  ) {
    self.seed = seed
    self.height = height
    self.width = width
    self.density = density
    self.noise = noise
    self.jitter = jitter
    self.pixelNanometres = pixelNanometres
    self.sectionNanometres = sectionNanometres
    self.faultRates = faultRates
    self.faults = faults
  }

  /// Throws for the first option out of its range.
  func validate() throws(SimulationError) {
    func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws(SimulationError) {
      guard range.contains(value) else {
        throw .option(name: name, value: "\(value)", allowed: "\(range.lowerBound) to \(range.upperBound)")
      }
    }
    for (name, value) in [("height", height), ("width", width)] where !(1...16_384).contains(value) {
      throw .option(name: name, value: "\(value)", allowed: "1 to 16384 pixels")
    }
    try check("density", density, 0.25...4)
    try check("noise", noise, 0...4)
    try check("jitter", jitter, 0...8)
    try check("pixelNanometres", pixelNanometres, 2...20)
    try check("sectionNanometres", sectionNanometres, 5...100)
    var sum = 0.0
    for (fault, rate) in faultRates.inOrder {
      try check("faultRates.\(fault.rawValue)", rate, 0...1)
      sum += rate
    }
    guard sum <= 1 + 1e-9 else {
      throw .option(name: "faultRates", value: "\(sum) in all", allowed: "rates that add up to at most 1")
    }
  }
}
