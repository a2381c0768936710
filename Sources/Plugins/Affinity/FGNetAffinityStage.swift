public import Domain
public import FGNetKernel

/// The built-in affinity stage: FGNet with the weights of one file.
public final class FGNetAffinityStage: AffinityStage {
  public let name = FGNetOptions.stage
  public let fingerprint: String
  /// How sections come to the network; nil: as they are.
  public let scale: PixelScale?
  /// Whether the coarse affinities are computed and handed on. Not part of the fingerprint: everything else is as without.
  public let keepsCoarse: Bool
  private let network: FGNet
  private struct Size {
    var height: Int
    var width: Int
  }
  /// Of the sections whose layers the network has, by key; only for rescaled ones.
  private var sizes: [String: Size] = [:]

  /// The network takes what others leave of it: the program itself takes `reserve`; beside layers kept of whole sections
  /// stand the affinities of one and its watershed; beside a tile, only what was found of the section so far.
  public func limitMemory(to bytes: Int) {
    memoryLimit = bytes
    // Coarse affinities are three quarters of a byte for each pixel.
    let coarse = keepsCoarse ? 1 : 0
    network.budget = MemoryBudget(
      bytes: bytes - Self.reserve, besideWhole: 20 + coarse, besideTiles: 4 + coarse)
  }
  private var memoryLimit: Int?

  public func memoryLeft(height: Int, width: Int) -> Int? {
    let size = scale?.modelSize(height: height, width: width) ?? (height: height, width: width)
    return network.memoryLeft(height: size.height, width: size.width)
  }

  public func useScratch(directory: String, bytes: Int) throws(StageError) {
    do throws(KernelError) { try network.useScratch(directory: directory, bytes: bytes) } catch {
      throw StageError(stage: name, reason: error.description, isOutage: true)
    }
  }
  /// Bytes of the program without any section.
  public static let reserve = 256 << 20

  /// - Parameter modelHash: SHA-256 of the weights file, hexadecimal.
  public init(network: FGNet, modelHash: String, scale: PixelScale? = nil, keepsCoarse: Bool = false) {
    self.network = network
    self.scale = scale
    self.keepsCoarse = keepsCoarse
    fingerprint =
      "fgnet kernel=\(FGNet.kernelVersion) model=\(modelHash)"
      + (network.precision == .float32 ? "" : " precision=\(network.precision.rawValue)")
      + (scale.map { " " + $0.fingerprint } ?? "")
  }

  /// Pixels around a pixel that count. The trunk's windows lie on a grid, so that a tile is exact only where it begins
  /// and ends at multiples of the alignment and has this much around it; of a rescaled section, only the whole is exact.
  public var halo: Int {
    guard let scale else { return network.architecture.halo }
    // Interpolation reaches two pixels further on both ways.
    return Int((Double(network.architecture.halo + 2) / min(scale.y, scale.x)).rounded(.up)) + 2
  }
  public var contextRadius: Int { network.contextRadius }
  public var operationsDone: Int { network.operationsDone }

  /// - Throws: `StageError` with the network's or the image's reason.
  public func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
    do {
      guard let scale else { return try affinitiesByParts(of: index, in: stack) }
      if let size = stack[index].size {
        let size = scale.modelSize(height: size.height, width: size.width)
        try network.requireWhole(height: size.height, width: size.width)
      }
      let found = try network.evaluate(index: index, stack: stack.map(plane), coarse: keepsCoarse)
      let size = try size(of: stack[index])
      sizes = sizes.filter { known in stack.contains { $0.key == known.key } }
      var section = try Self.quantised(found.refined, first: index == 0) { map, channel in
        try scale.leave(map, channel: channel, height: size.height, width: size.width, stage: name)
      }
      section.coarse = try Self.quantisedCoarse(found.coarse, first: index == 0) { map in
        try scale.leaveCoarse(map, height: size.height, width: size.width, stage: name)
      }
      return section
    } catch let error as KernelError {
      throw StageError(stage: name, reason: reason(error), isOutage: error.isOfMachine)
    }
  }

  /// As the network delivers them: a large section is evaluated by tiles.
  private func affinitiesByParts(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
    var result: AffinitySection?
    try network.affinities(of: index, in: stack.map(plane), coarse: keepsCoarse) { window, found in
      var part = Self.quantised(found.refined, first: index == 0, corner: window)
      part.coarse = Self.quantisedCoarse(found.coarse, first: index == 0) { $0 }
      guard let size = stack[index].size, size.pixels > window.pixels else {
        result = part
        return
      }
      if result == nil { result = empty(size) }
      result?.replace(PlaneWindow(rows: window.rows, columns: window.columns), with: part)
    }
    guard let result else { preconditionFailure("the network delivered nothing of section \(stack[index].z)") }
    return result
  }

  /// A section to be filled.
  private func empty(_ size: PlaneWindow) -> AffinitySection {
    let plane = Plane<UInt8>(height: size.height, width: size.width, repeating: 0)
    var section = AffinitySection(z: plane, y: plane, x: plane)
    if keepsCoarse {
      let half = Plane<UInt8>(height: size.halved.height, width: size.halved.width, repeating: 0)
      section.coarse = CoarseAffinities(z: half, y: half, x: half)
    }
    return section
  }

  private func reason(_ error: KernelError) -> String {
    guard case .overBudget(_, _, let bytes, let budget, _) = error, let memoryLimit else { return error.description }
    let mebibytes = (memoryLimit + bytes - budget + (1 << 20) - 1) >> 20
    return "\(error.description); set memory_limit to at least \(mebibytes) MiB"
  }

  /// A section as the network takes it. The key tells rescaled ones from others, for whoever shares the network.
  func plane(_ section: StackSection) -> StackPlane {
    guard let scale else {
      func plane(_ image: Plane<Float>) -> FloatPlane {
        FloatPlane(height: image.height, width: image.width, values: image.storage)
      }
      guard let size = section.size else { return StackPlane(key: section.key) { plane(try section.image()) } }
      return StackPlane(key: section.key, height: size.height, width: size.width) { window in
        plane(try section.part(PlaneWindow(rows: window.rows, columns: window.columns)))
      }
    }
    return StackPlane(key: section.key + " " + scale.fingerprint) { [self] in
      let image = try section.image()
      sizes[section.key] = Size(height: image.height, width: image.width)
      return try scale.enter(image, stage: name)
    }
  }

  /// The section's own size: noted when its image was taken, which the network does once.
  private func size(of section: StackSection) throws -> Size {
    if let known = sizes[section.key] { return known }
    let image = try section.image()
    return Size(height: image.height, width: image.width)
  }

  /// - Parameters:
  ///   - first: nothing lies below the section.
  ///   - corner: the window of the section that the planes are; nil: all of it.
  static func quantised(_ planes: [FloatPlane], first: Bool, corner: PixelWindow? = nil) -> AffinitySection {
    quantised(planes, first: first, corner: corner) { plane, _ in plane }
  }

  /// - Parameters:
  ///   - first: nothing lies below the section.
  ///   - resampled: a channel's plane at the section's pixels; one at a time, since a section is large.
  private static func quantised(
    _ planes: [FloatPlane], first: Bool, corner: PixelWindow? = nil,
    resampled: (FloatPlane, Int) throws -> FloatPlane
  ) rethrows -> AffinitySection {
    var quantised: [Plane<UInt8>] = []
    for (channel, plane) in planes.enumerated() {
      let plane = try resampled(plane, channel)
      quantised.append(Plane(height: plane.height, width: plane.width, storage: bytes(plane.values)))
    }
    let (height, width) = (quantised[0].height, quantised[0].width)
    if first { quantised[0] = Plane(height: height, width: width, repeating: 0) }
    if corner?.rows.lowerBound ?? 0 == 0 { for x in 0..<width { quantised[1][0, x] = 0 } }
    if corner?.columns.lowerBound ?? 0 == 0 { for y in 0..<height { quantised[2][y, 0] = 0 } }
    return AffinitySection(z: quantised[0], y: quantised[1], x: quantised[2])
  }

  /// - Parameters:
  ///   - planes: z, y, x, or none.
  ///   - resampled: a plane at half the size of the section.
  private static func quantisedCoarse(
    _ planes: [FloatPlane], first: Bool, resampled: (FloatPlane) throws -> FloatPlane
  ) rethrows -> CoarseAffinities? {
    guard !planes.isEmpty else { return nil }
    var quantised: [Plane<UInt8>] = []
    for plane in planes {
      let plane = try resampled(plane)
      quantised.append(Plane(height: plane.height, width: plane.width, storage: bytes(plane.values)))
    }
    if first { quantised[0] = Plane(height: quantised[0].height, width: quantised[0].width, repeating: 0) }
    return CoarseAffinities(z: quantised[0], y: quantised[1], x: quantised[2])
  }

  /// `(value * 255).rounded()` of values 0...1, in steps that the compiler does many of at once.
  static func bytes(_ values: [Float]) -> [UInt8] {
    // Where the step between neighbouring numbers is 1: a sum is rounded to the nearest whole number, halves to even.
    let whole: Float = 8_388_608
    return [UInt8](unsafeUninitializedCapacity: values.count) { bytes, count in
      values.withUnsafeBufferPointer { values in
        for index in 0..<values.count {
          let value = values[index] * 255
          let sum = value + whole
          let half: UInt8 = value - (sum - whole) == 0.5 ? 1 : 0
          bytes[index] = UInt8(truncatingIfNeeded: sum.bitPattern) &+ half
        }
      }
      count = values.count
    }
  }
}
