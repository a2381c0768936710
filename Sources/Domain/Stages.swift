/// A failure of a stage, in words for the operator.
public struct StageError: Error, Sendable, Equatable, CustomStringConvertible {
  public var stage: String
  public var reason: String
  /// The stage cannot be used at all, whatever it is given: a program that does not start, a disk that cannot be written to.
  public var isOutage: Bool
  public init(stage: String, reason: String, isOutage: Bool = false) {
    self.stage = stage
    self.reason = reason
    self.isOutage = isOutage
  }
  public var description: String { "stage \(stage): \(reason)" }
}

/// `image -> image`: one section, intensities 0...1. MUST be deterministic, MUST keep the shape.
public protocol ImageStage: Sendable {
  /// Name in the config.
  var name: String { get }
  /// Pixels around a pixel that its result depends on.
  var halo: Int { get }
  /// A crop of a section handed to the stage begins at multiples of this in y and x (1: anywhere).
  var alignment: Int { get }
  /// Everything the result depends on besides the image (name, version, options), for provenance and caching.
  var fingerprint: String { get }
  /// Filters a section in its place: no second one is touched in memory, if nobody else holds it. What is left of it after an error is of no use.
  func filter(_ image: inout Plane<Float>) throws(StageError)
}

extension ImageStage {
  public var alignment: Int { 1 }

  /// A filtered copy.
  public func filtered(_ image: consuming Plane<Float>) throws(StageError) -> Plane<Float> {
    try filter(&image)
    return image
  }
}

/// One section of a stack, as an affinity stage sees it.
public struct StackSection {
  public var z: SectionNumber
  /// Identifies the image's content (hash of the source and of the denoise stages); equal keys mean equal images.
  public var key: String
  /// Rows and columns; nil: known from the image only. Such a section is taken as a whole.
  public let size: PlaneWindow?
  /// Intensities 0...1, after denoising, of a window of a section of known size.
  public let part: (PlaneWindow) throws -> Plane<Float>
  /// Intensities 0...1, after denoising. Called at most once per evaluation, possibly never (the stage may have it cached).
  public let image: () throws -> Plane<Float>

  /// A section that comes as a whole.
  public init(z: SectionNumber, key: String, image: @escaping () throws -> Plane<Float>) {
    self.z = z
    self.key = key
    self.image = image
    size = nil
    part = { try image().cropped(to: $0) }
  }

  /// A section that can be read in parts, any number of times.
  /// - Parameter part: equals the same window of the whole, bit for bit.
  public init(
    z: SectionNumber, key: String, height: Int, width: Int, part: @escaping (PlaneWindow) throws -> Plane<Float>
  ) {
    self.z = z
    self.key = key
    let whole = PlaneWindow(height: height, width: width)
    size = whole
    self.part = part
    image = { try part(whole) }
  }
}

/// `images -> affinities`, in z order over a stack.
///
/// MUST be a pure function of the sections within `contextRadius` places of `index` in the stack (places, not z). A stage may keep
/// intermediate results between calls, keyed by the sections' keys. Not required to be reentrant: the pipeline
/// calls it from one thread.
public protocol AffinityStage: AnyObject {
  var name: String { get }
  var halo: Int { get }
  /// Sections on each side, in places of the stack.
  var contextRadius: Int { get }
  var fingerprint: String { get }
  /// Bytes the program may use in all, the stage and the section at hand included. MUST not change any result.
  func limitMemory(to bytes: Int)
  /// Bytes of that limit which the stage leaves to sections under way, when sections have this size; 0 where it must have
  /// all, nil where it does not know. Safe from any thread.
  func memoryLeft(height: Int, width: Int) -> Int?
  /// A folder and bytes on its disk that the stage may use while it lives. MUST not change any result.
  /// - Throws: `StageError` when there is no writing to it.
  func useScratch(directory: String, bytes: Int) throws(StageError)
  /// Multiply-adds done so far, for people who watch the cost; 0 from a stage that does not count.
  var operationsDone: Int { get }
  /// Affinities of `stack[index]`. `stack` holds at least the sections within the context radius that exist.
  func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection
}

extension AffinityStage {
  public func limitMemory(to bytes: Int) {}
  public func memoryLeft(height: Int, width: Int) -> Int? { nil }
  public func useScratch(directory: String, bytes: Int) throws(StageError) {}
  public var operationsDone: Int { 0 }
}

/// `affinities -> fragments`, one section. Labels in raster order of first pixels.
public protocol WatershedStage: Sendable {
  var name: String { get }
  var halo: Int { get }
  var fingerprint: String { get }
  func fragments(of affinities: AffinitySection) throws(StageError) -> FragmentSection
}

/// `fragments + affinities -> merges`, over a window of sections.
public protocol AgglomerateStage: Sendable {
  var name: String { get }
  var fingerprint: String { get }
  /// W: present sections below the decided ones that a decision looks at.
  var lookBehind: Int { get }
  /// L: present sections above.
  var lookAhead: Int { get }
  /// Decides on all edges of `window[decided]`, given the graphs of `window` in z order (contiguous in the stack).
  /// One decision for each edge, in the order of `window[i].edges`, for i in `decided`.
  /// MUST be a pure function of its input.
  func decide(_ decided: Range<Int>, in window: [SectionGraph]) throws(StageError) -> [[EdgeDecision]]
}

/// A stage whose work is done by somebody else's code, and may take any time.
public protocol SupervisedStage: Sendable {
  /// Sets what is called while a call waits, several times a second, on the thread of the call; false ends the call, as `cancel` does. Not
  /// called by a stage that cannot.
  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool)
  /// Ends the call at work as soon as it can be, with an error; calls made afterwards fail. Safe from any thread.
  func cancel()
}
