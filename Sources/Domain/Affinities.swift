/// The affinities of one section, quantised: value / 255 is the affinity.
///
/// Channel d at (y, x) says how likely the pixel and its neighbour at -1 along axis d are of one neuron:
/// `z` to the previous section *of the stack* (the nearest present one below), `y` to (y-1, x), `x` to (y, x-1).
/// The first section's `z` is 0 throughout, as are the first row of `y` and the first column of `x`.
/// 8 bits are what is stored and what every later stage sees, so a result computed from a stored section
/// equals one computed on the way.
public struct AffinitySection: Sendable, Equatable {
  public var z: Plane<UInt8>
  public var y: Plane<UInt8>
  public var x: Plane<UInt8>
  /// What FGNet made of the section before it refined it; nil unless it is kept (`keep_coarse`).
  public var coarse: CoarseAffinities?

  /// - Precondition: the three planes have one shape.
  public init(z: Plane<UInt8>, y: Plane<UInt8>, x: Plane<UInt8>) {
    precondition(z.height == y.height && y.height == x.height && z.width == y.width && y.width == x.width)
    self.z = z
    self.y = y
    self.x = x
  }

  public var height: Int { z.height }
  public var width: Int { z.width }

  /// Writes `part` over a window, on the coarse planes over `PlaneWindow.halved`.
  /// - Precondition: the window lies inside and has the part's shape; coarse planes are in both or in neither.
  public mutating func replace(_ window: PlaneWindow, with part: AffinitySection) {
    z.replace(window, with: part.z)
    y.replace(window, with: part.y)
    x.replace(window, with: part.x)
    guard let finer = part.coarse else { return }
    coarse?.z.replace(window.halved, with: finer.z)
    coarse?.y.replace(window.halved, with: finer.y)
    coarse?.x.replace(window.halved, with: finer.x)
  }
}

/// FGNet's coarse affinities, quantised as the refined ones: a number stands for 2 x 2 pixels of the section, fewer at an odd
/// edge. For looking at: no stage reads them.
///
/// The first section's `z` is 0 throughout. The first row and column are the network's, because they stand for pixels with a
/// neighbour too.
public struct CoarseAffinities: Sendable, Equatable {
  /// Pixels of the section for each of these along y and x.
  public static let stride = 2
  public var z: Plane<UInt8>
  public var y: Plane<UInt8>
  public var x: Plane<UInt8>

  /// - Precondition: the three planes have one shape.
  public init(z: Plane<UInt8>, y: Plane<UInt8>, x: Plane<UInt8>) {
    precondition(z.height == y.height && y.height == x.height && z.width == y.width && y.width == x.width)
    self.z = z
    self.y = y
    self.x = x
  }

  public var height: Int { z.height }
  public var width: Int { z.width }
}

/// The fragments of one section: label 0 is "none", 1...count in raster order of each fragment's first pixel.
public struct FragmentSection: Sendable, Equatable {
  public var labels: Plane<UInt32>
  public var count: Int
  public init(labels: Plane<UInt32>, count: Int) {
    self.labels = labels
    self.count = count
  }
}

/// What is known of one fragment without its pixels. Boxes are half open, in pixels of the section.
public struct FragmentSummary: Sendable, Equatable {
  public var label: UInt32
  public var area: Int
  public var minY: Int32
  public var minX: Int32
  public var maxY: Int32
  public var maxX: Int32
  public var centroidY: Double
  public var centroidX: Double

  public init(
    label: UInt32, area: Int, minY: Int32, minX: Int32, maxY: Int32, maxX: Int32, centroidY: Double, centroidX: Double
  ) {
    self.label = label
    self.area = area
    self.minY = minY
    self.minX = minX
    self.maxY = maxY
    self.maxX = maxX
    self.centroidY = centroidY
    self.centroidX = centroidX
  }
}
