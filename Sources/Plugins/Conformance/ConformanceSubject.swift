import Domain

/// A stage under test, and what it makes of inputs that are made for it. Equal outputs are equal bytes.
enum ConformanceSubject {
  case denoise(any ImageStage)
  case affinity(any AffinityStage)
  case watershed(any WatershedStage)
  case agglomerate(any AgglomerateStage)

  var supervised: (any SupervisedStage)? {
    switch self {
    case .denoise(let stage): stage as? any SupervisedStage
    case .affinity(let stage): stage as? any SupervisedStage
    case .watershed(let stage): stage as? any SupervisedStage
    case .agglomerate(let stage): stage as? any SupervisedStage
    }
  }

  var fingerprint: String {
    switch self {
    case .denoise(let stage): stage.fingerprint
    case .affinity(let stage): stage.fingerprint
    case .watershed(let stage): stage.fingerprint
    case .agglomerate(let stage): stage.fingerprint
    }
  }

  /// The stage's output.
  /// - Throws: what the stage throws, or `CommandFault` if the output is not what the contract asks for.
  func output(_ input: ConformanceInput) throws -> [UInt8] {
    switch self {
    case .denoise(let stage):
      let image = input.image(0)
      let result = try stage.filtered(image)
      guard result.height == image.height, result.width == image.width else {
        throw CommandFault("it gave \(result.height) x \(result.width) pixels for \(image.height) x \(image.width)")
      }
      try ExternalChecks.fractions(result.storage, width: result.width, of: "image")
      return result.storage.withUnsafeBytes(Array.init)
    case .affinity(let stage):
      let context = stage.contextRadius
      let stack = (0...2 * context).map { z in
        StackSection(z: Int32(z), key: "\(input.key)/\(z)") { input.image(z) }
      }
      let map = try stage.affinities(of: context, in: stack)
      guard map.height == input.height, map.width == input.width else {
        throw CommandFault(
          "it gave \(map.height) x \(map.width) affinities for \(input.height) x \(input.width) pixels")
      }
      guard map.y.storage.prefix(map.width).allSatisfy({ $0 == 0 }),
        (0..<map.height).allSatisfy({ map.width == 0 || map.x[$0, 0] == 0 })
      else { throw CommandFault("the first row of y or the first column of x is not 0") }
      return map.z.storage + map.y.storage + map.x.storage
    case .watershed(let stage):
      let result = try stage.fragments(of: input.affinities)
      guard result.labels.height == input.height, result.labels.width == input.width else {
        throw CommandFault("it gave labels of another shape than the section's")
      }
      let renumbered = try ExternalChecks.renumbered(result.labels.storage, height: input.height, width: input.width)
      guard renumbered == result else { throw CommandFault("its labels are not 1, 2, 3, ... in raster order") }
      return result.labels.storage.withUnsafeBytes(Array.init)
    case .agglomerate(let stage):
      let window = input.window(sections: stage.lookBehind + 1 + stage.lookAhead)
      let decisions = try stage.decide(stage.lookBehind..<stage.lookBehind + 1, in: window)
      guard decisions.map(\.count) == [window[stage.lookBehind].edges.count] else {
        throw CommandFault(
          "it gave \(decisions.map(\.count)) decisions for \(window[stage.lookBehind].edges.count) edges")
      }
      let flags = decisions[0].map { $0.accepted ? UInt8(1) : 0 }
      let scores = decisions[0].map(\.score)
      _ = try ExternalChecks.decisions(flags, scores)
      return flags + scores.withUnsafeBytes(Array.init)
    }
  }
}

/// An input of any size, the same for the same numbers.
struct ConformanceInput {
  enum Content: String {
    /// Cells with dark borders and noise.
    case cells
    case black, white
    /// Cells, with pixels that are no numbers.
    case holes
  }

  var height: Int
  var width: Int
  var content = Content.cells
  var seed: UInt64 = 1
  /// Part of the whole that is shown.
  var window: PlaneWindow?

  var key: String { "\(height)x\(width) \(content.rawValue) \(seed) \(window.map { "\($0)" } ?? "")" }

  /// Intensities 0...1 of section z.
  func image(_ z: Int) -> Plane<Float> {
    let part = window ?? PlaneWindow(height: height, width: width)
    var image = Plane<Float>(height: part.height, width: part.width, repeating: content == .white ? 1 : 0)
    guard content == .cells || content == .holes else { return image }
    image.storage.withUnsafeMutableBufferPointer { pixels in
      var place = 0
      for y in part.rows {
        for x in part.columns {
          pixels[place] = pixel(y, x, z)
          place += 1
        }
      }
      guard content == .holes else { return }
      for place in stride(from: 0, to: pixels.count, by: 7) {
        pixels[place] = [Float.nan, .infinity, -.infinity][place / 7 % 3]
      }
    }
    return image
  }

  private func pixel(_ y: Int, _ x: Int, _ z: Int) -> Float {
    // Borders of cells of 24 pixels that move a little from section to section.
    let distance = min(abs((y + z) % 24 - 12), abs((x + 2 * z) % 24 - 12))
    var hash = UInt64(truncatingIfNeeded: (z * 65_536 + y) * 65_536 + x) &+ seed
    hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
    let noise = Float((hash ^ hash >> 31) & 0xFF) / 255
    return min(1, Float(distance) / 16 + 0.2 * noise)
  }

  /// Affinities as a network would give them for the image.
  var affinities: AffinitySection {
    let image = image(0)
    var (z, y, x) = (empty, empty, empty)
    for row in 0..<image.height {
      for column in 0..<image.width {
        let value = UInt8(min(max(image[row, column].isFinite ? image[row, column] : 0, 0), 1) * 255)
        z[row, column] = value
        if row > 0 { y[row, column] = value }
        if column > 0 { x[row, column] = value }
      }
    }
    return AffinitySection(z: z, y: y, x: x)
  }

  private var empty: Plane<UInt8> { Plane(height: height, width: width, repeating: 0) }

  /// Graphs of as many sections, with a fragment for about each 500 pixels.
  func window(sections: Int) -> [SectionGraph] {
    let count = content == .black ? 0 : (height * width + 499) / 500
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    func histogram() -> AffinityHistogram {
      let first = next(200)
      return AffinityHistogram(
        bins: [UInt8(first), UInt8(first + 1 + next(55))], counts: [UInt32(1 + next(30)), UInt32(1 + next(30))])
    }
    return (0..<sections).map { z in
      let ids = (0..<count).map { FragmentID(z: Int32(z), signature: 77, label: UInt32($0 + 1)) }
      var edges: [RegionEdge] = []
      if z > 0 {
        for place in 0..<count {
          let below = FragmentID(z: Int32(z - 1), signature: 77, label: UInt32(place + 1))
          edges.append(RegionEdge(a: below, b: ids[place], histogram: histogram()))
        }
      }
      for place in 0..<max(0, count - 1) {
        edges.append(RegionEdge(a: ids[place], b: ids[place + 1], histogram: histogram()))
      }
      return SectionGraph(z: Int32(z), fragments: ids, areas: ids.map { _ in 500 }, edges: edges)
    }
  }
}
