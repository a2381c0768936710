import Domain

/// An `images -> affinities` stage from outside.
///
/// A section whose sides are not longer than `tile` goes to it as a whole. A larger one goes in tiles, each with the halo around it, on a
/// grid that depends on nothing else, so that results do not depend on the memory; unless the stage looks at all of a section.
///
/// Unchecked: what may be called from any thread goes to the runner, everything else is used from one.
final class ExternalAffinity: AffinityStage, SupervisedStage, @unchecked Sendable {
  /// Pixels of a tile's side, without its halo.
  static let tile = 2048

  let name: String
  let fingerprint: String
  private let runner: any ExternalRunner
  private let tile: Int
  private var memoryLimit = Int.max
  /// Images of the last window, by the sections' keys: the next window has most of them.
  private var images: [String: Plane<Float>] = [:]

  init(name: String, fingerprint: String, runner: any ExternalRunner, tile: Int = ExternalAffinity.tile) {
    self.name = name
    self.fingerprint = fingerprint
    self.runner = runner
    self.tile = tile
  }

  var halo: Int { runner.reach.haloPixels }
  var contextRadius: Int { runner.reach.context }
  func limitMemory(to bytes: Int) { memoryLimit = bytes }
  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) { runner.whileWaiting(goesOn) }
  func cancel() { runner.cancel() }

  func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
    let range = max(0, index - contextRadius)..<min(stack.count, index + contextRadius + 1)
    var section: AffinitySection
    if let size = stack[index].size, runner.reach.halo != nil, max(size.height, size.width) > tile {
      images = [:]
      section = try tiled(size, stack[range], at: index - range.lowerBound)
    } else {
      section = try whole(stack[range], at: index - range.lowerBound)
    }
    // What has no neighbour has no affinity to it.
    if index == 0, contextRadius > 0 {
      section.z = Plane(height: section.height, width: section.width, repeating: 0)
    }
    if section.height > 0 { for x in 0..<section.width { section.y[0, x] = 0 } }
    if section.width > 0 { for y in 0..<section.height { section.x[y, 0] = 0 } }
    return section
  }

  private func whole(_ stack: ArraySlice<StackSection>, at index: Int) throws -> AffinitySection {
    let keys = Set(stack.map(\.key))
    images = images.filter { keys.contains($0.key) }
    var planes: [Plane<Float>] = []
    for section in stack {
      let image = try images[section.key] ?? section.image()
      // An eighth of the memory at most stands by.
      if image.storage.count * 4 * (2 * contextRadius + 1) <= memoryLimit / 8 { images[section.key] = image }
      planes.append(image)
    }
    return try ask(planes, stack, at: index)
  }

  private func tiled(_ size: PlaneWindow, _ stack: ArraySlice<StackSection>, at index: Int) throws -> AffinitySection {
    func empty() -> Plane<UInt8> { Plane(height: size.height, width: size.width, repeating: 0) }
    var result = AffinitySection(z: empty(), y: empty(), x: empty())
    for top in stride(from: 0, to: size.height, by: tile) {
      for left in stride(from: 0, to: size.width, by: tile) {
        let core = PlaneWindow(
          rows: top..<min(top + tile, size.height), columns: left..<min(left + tile, size.width))
        let around = core.widened(by: halo, in: size)
        let part = try ask(stack.map { try $0.part(around) }, stack, at: index)
        let inner = core.relative(to: around)
        result.z.replace(core, with: part.z.cropped(to: inner))
        result.y.replace(core, with: part.y.cropped(to: inner))
        result.x.replace(core, with: part.x.cropped(to: inner))
      }
    }
    return result
  }

  private func ask(
    _ planes: [Plane<Float>], _ stack: ArraySlice<StackSection>, at index: Int
  ) throws(StageError) -> AffinitySection {
    let (height, width) = (planes[index].height, planes[index].width)
    for (plane, section) in zip(planes, stack) where plane.height != height || plane.width != width {
      throw StageError(
        stage: name,
        reason: "section \(section.z) has \(plane.height) x \(plane.width) pixels, its neighbours \(height) x \(width)")
    }
    let count = height * width
    if count == 0 {
      let empty = Plane<UInt8>(height: height, width: width, repeating: 0)
      return AffinitySection(z: empty, y: empty, x: empty)
    }
    var values: [UInt8]
    switch try runner.answer(.affinity(images: planes, z: stack.map(\.z), index: index)) {
    case .affinities(let bytes): values = bytes
    case .affinityFractions(let fractions):
      values = try blaming(name) { () throws(CommandFault) in
        try ExternalChecks.fractions(fractions, width: width, of: "affinities")
        return fractions.map { UInt8(($0 * 255).rounded()) }
      }
    default: preconditionFailure("\(name) answered as another kind")
    }
    func plane(_ channel: Int) -> Plane<UInt8> {
      Plane(height: height, width: width, storage: Array(values[channel * count..<(channel + 1) * count]))
    }
    return AffinitySection(z: plane(0), y: plane(1), x: plane(2))
  }
}
