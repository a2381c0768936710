/// Finds where to look at errors: for each, the place where its two largest parts come closest, touching or not.
///
/// Sections are added in ascending order; of each only the pixels of the errors' parts are kept, until the next section
/// that holds the same part. Distances are between pixel centres in nanometres, within a section or from one section up to
/// the next that holds the other part. Of equal distances the place with most pairs of pixels counts, then the lower section.
public struct ErrorPlaces: Sendable {
  /// Where an error is, and where to look at it.
  public struct Place: Sendable, Equatable {
    /// The section to look at, and the one that the other part is in: the same, or one above or below.
    public var z: SectionNumber
    public var otherZ: SectionNumber
    /// The pixel half way between the two parts, z being the upper one; if they are more than `ErrorPlaces.near` pixels apart,
    /// the pixel of the smaller part that is closest to the larger one.
    public var y: Int
    public var x: Int
    /// Nanometres between the two parts there.
    public var distance: Double
    /// First and last section in which the merged segment, or the split object, has scored pixels.
    public var firstZ: SectionNumber
    public var lastZ: SectionNumber

    public init(
      z: SectionNumber, otherZ: SectionNumber, y: Int, x: Int, distance: Double, firstZ: SectionNumber,
      lastZ: SectionNumber
    ) {
      self.z = z
      self.otherZ = otherZ
      self.y = y
      self.x = x
      self.distance = distance
      self.firstZ = firstZ
      self.lastZ = lastZ
    }
  }

  private struct Search: Sendable {
    var zs: ClosedRange<SectionNumber>?
    var last: [(z: SectionNumber, runs: PixelRuns)?] = [nil, nil]
    /// `from` is of the larger part, in section `z`; `to` of the smaller one, in `otherZ`.
    var best: (approach: PixelRuns.Approach, z: SectionNumber, otherZ: SectionNumber)?
  }

  /// Pixels, along y or x, within which the place half way shows both parts.
  public static let near = 60

  private let errors: [CostlyError]
  private let voxelSize: (z: Double, y: Double, x: Double)
  private let ignoring: Set<UInt64>
  private var searches: [Search]
  private var byFound: [UInt64: Int] = [:]
  private var byTruth: [UInt64: Int] = [:]

  /// - Parameter voxelSize: nanometres.
  public init(
    _ errors: [CostlyError], voxelSize: (z: Double, y: Double, x: Double), ignoring: Set<UInt64> = [0]
  ) {
    self.errors = errors
    self.voxelSize = voxelSize
    self.ignoring = ignoring
    searches = Array(repeating: Search(), count: errors.count)
    for (index, error) in errors.enumerated() {
      if error.kind == .merge { byFound[error.label] = index } else { byTruth[error.label] = index }
    }
  }

  /// The place of each error; nil where the sections added do not hold it.
  public var places: [Place?] {
    searches.map { search in
      guard let best = search.best, let zs = search.zs else { return nil }
      let (from, to) = (best.approach.from, best.approach.to)
      let isNear = max(abs(from.y - to.y), abs(from.x - to.x)) <= Self.near
      let z = isNear ? max(best.z, best.otherZ) : best.otherZ
      return Place(
        z: z, otherZ: z == best.otherZ ? best.z : best.otherZ, y: isNear ? (from.y + to.y) / 2 : to.y,
        x: isNear ? (from.x + to.x) / 2 : to.x, distance: best.approach.squared.squareRoot(), firstZ: zs.lowerBound,
        lastZ: zs.upperBound)
    }
  }

  /// Adds a section.
  /// - Precondition: the planes have one shape, and z ascends.
  public mutating func add(z: SectionNumber, truth: Plane<UInt64>, found: Plane<UInt64>) {
    precondition(truth.height == found.height && truth.width == found.width, "the sections differ in shape")
    let seen = collect(truth, found)
    for index in seen.keys.sorted() {
      guard let parts = seen[index] else { continue }
      searches[index].zs = (searches[index].zs?.lowerBound ?? z)...z
      advance(index, z, parts)
    }
  }

  /// Pixels of both parts of each error that the section holds.
  private func collect(_ truth: Plane<UInt64>, _ found: Plane<UInt64>) -> [Int: [PixelRuns]] {
    var seen: [Int: [PixelRuns]] = [:]
    func note(_ index: Int?, _ label: UInt64, _ y: Int, _ first: Int, _ last: Int) {
      guard let index else { return }
      let parts = errors[index].parts
      guard let part = parts.prefix(2).firstIndex(where: { $0.label == label }) else {
        if seen[index] == nil { seen[index] = [PixelRuns(), PixelRuns()] }
        return
      }
      seen[index, default: [PixelRuns(), PixelRuns()]][part].append(y: y, first: first, last: last)
    }
    let width = truth.width
    truth.storage.withUnsafeBufferPointer { truth in
      found.storage.withUnsafeBufferPointer { found in
        for start in stride(from: 0, to: truth.count, by: max(1, width)) {
          var first = start
          while first < start + width {
            let (a, b) = (truth[first], found[first])
            var next = first + 1
            while next < start + width && truth[next] == a && found[next] == b { next += 1 }
            if !ignoring.contains(a) {
              note(byFound[b], a, start / width, first - start, next - 1 - start)
              note(byTruth[a], b, start / width, first - start, next - 1 - start)
            }
            first = next
          }
        }
      }
    }
    return seen
  }

  private mutating func advance(_ index: Int, _ z: SectionNumber, _ parts: [PixelRuns]) {
    consider(index, (parts[0], z), (parts[1], z))
    if let below = searches[index].last[1] { consider(index, (parts[0], z), (below.runs, below.z)) }
    if let below = searches[index].last[0] { consider(index, (below.runs, below.z), (parts[1], z)) }
    for part in 0..<2 where !parts[part].isEmpty { searches[index].last[part] = (z, parts[part]) }
  }

  private mutating func consider(
    _ index: Int, _ larger: (runs: PixelRuns, z: SectionNumber), _ smaller: (runs: PixelRuns, z: SectionNumber)
  ) {
    let best = searches[index].best?.approach
    guard
      let found = larger.runs.approach(
        to: smaller.runs, height: Double(larger.z - smaller.z) * voxelSize.z, pixel: (voxelSize.y, voxelSize.x),
        within: best?.squared ?? .infinity)
    else { return }
    if let best, (found.squared, -found.pairs) >= (best.squared, -best.pairs) { return }
    searches[index].best = (found, larger.z, smaller.z)
  }
}
