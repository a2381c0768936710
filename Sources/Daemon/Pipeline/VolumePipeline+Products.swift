import Domain
import Foundation
import Plugins
import Volumes

/// The products: which are wanted, which are under way.
extension VolumePipeline {
  /// A product under way.
  struct Making {
    enum Step {
      case affinities(Work<AffinitySection>)
      /// Affinities that wait to be cut; nil where they come from another file.
      case ready(AffinitySection?)
      case product(Work<SectionWork.Made>, AffinitySection?)
    }

    var order: ProductOrder
    var step: Step
  }

  /// Products under way at a time, those included whose affinities wait to be cut: each is a section in memory.
  static let mostUnderWay = 4

  /// How many sections of a size may be under way.
  /// - Parameter left: bytes that the network leaves of the memory.
  static func mostUnderWay(height: Int, width: Int, left: Int) -> Int {
    // Affinities, labels, and what cutting needs meanwhile.
    let bytes = 20 * height * width
    return min(mostUnderWay, max(1, left / max(bytes, 1)))
  }

  var hasRoom: Bool { making.count < underWay }

  /// Whether images are read ahead of the network.
  private var readsAhead: Bool { !goesOneByOne }

  /// Whether the sections have the memory to themselves, each of their stages: those that the network evaluates by tiles,
  /// and those that are read and written part by part.
  var goesOneByOne: Bool { underWay == 1 }

  private var underWay: Int {
    guard let z = plan.stack.last, let size = size(z) else { return Self.mostUnderWay }
    if let underWayBySize, underWayBySize.size == size { return underWayBySize.count }
    let left =
      stages.affinity?.memoryLeft(height: size.height, width: size.width)
      ?? stages.memoryLimit - FGNetAffinityStage.reserve
    let count = isLarge(z) ? 1 : Self.mostUnderWay(height: size.height, width: size.width, left: left)
    underWayBySize = (size, count)
    return count
  }

  func product(_ place: Int, affinity: String, below: String?) -> Product {
    Product(
      place: place, z: plan.stack[place], affinity: affinity,
      below: below.map { Product.Below(z: plan.stack[place - 1], affinity: $0) },
      graph: VolumePlan.graphContent(affinity: affinity, below: below, gap: plan.gapBelow(place)))
  }

  /// What the place's product is to be, given the sections there are.
  func wantedProduct(_ place: Int) -> Product {
    product(
      place, affinity: plan.affinityContent(place), below: place > 0 ? plan.affinityContent(place - 1) : nil)
  }

  /// Sees to it that a product is made. Returns whether it is there.
  func want(_ product: Product) throws -> Bool {
    guard stages.affinity != nil || !stages.denoise.isEmpty else { return true }
    if products.contains(product.name) { return true }
    guard hasRoom, !making.contains(where: { $0.order.name == product.name }), !isPaused(around: product.place) else {
      return false
    }
    if let below = product.below, stages.watershed != nil, try !hasFragments(below), !isMaking(below) {
      // The section below was lost from the store: it comes first.
      _ = try want(wantedProduct(product.place - 1))
      return false
    }
    let order = try order(product)
    try checkRemaking(product, signature: order.signature)
    if stages.affinity == nil || order.sameAffinities != nil {
      making.append(Making(order: order, step: .ready(nil)))
      try handOn()
    } else if executor.hasRoom(for: .network) {
      let job = executor.start(.network) { [work] in try work.affinities(order) }
      making.append(Making(order: order, step: .affinities(job)))
      if readsAhead, let newest = order.stack.last, executor.hasRoom(for: .intake) {
        executor.submit(.intake) { [work] in work.readAhead(newest) }
      }
    }
    return false
  }

  private func hasFragments(_ below: Product.Below) throws -> Bool {
    try products.name(below.z, affinity: below.affinity, in: store) != nil
  }

  private func isMaking(_ below: Product.Below) -> Bool {
    making.contains { $0.order.z == below.z && $0.order.affinityContent == below.affinity }
  }

  private func isWanted(_ below: Product.Below) -> Bool {
    plan.place(of: below.z).map { plan.affinityContent($0) == below.affinity } ?? false
  }

  private func order(_ product: Product) throws -> ProductOrder {
    // Two radii below, so that the stage knows, at the top of the stack, what it keeps for the sections before it by their
    // whole context.
    let window = plan.window(product.place, below: 2 * stages.reach.context, above: stages.reach.context)
    let fingerprint = stages.denoise.map(\.fingerprint).joined(separator: ";")
    let stack = try window.map { place in
      let z = plan.stack[place]
      guard let sha = plan.sources[z] else {
        throw OperatorError("\(name) z \(z): no source is recorded; this is a fault of the program")
      }
      return ProductOrder.Source(
        z: z, sha256: sha, path: rows[z]?.sourcePath, plane: rows[z]?.plane ?? 0, key: sha + fingerprint, size: size(z))
    }
    return try ProductOrder(
      name: product.name, z: product.z, affinityContent: product.affinity, graphContent: product.graph, stack: stack,
      index: product.place - window.lowerBound, signature: signature(product.z, product.affinity),
      below: product.below.map { try ProductOrder.Below(section: $0, signature: signature($0.z, $0.affinity)) },
      confidence: pow(stages.gapConfidence, Double(plan.gapBelow(product.place) ?? 0)),
      sameAffinities: stages.affinity == nil
        ? nil : products.name(product.z, affinity: product.affinity, in: store))
  }

  /// 22 bits that tell fragments of different content or configuration apart (Domain.FragmentID). Fragments that are there
  /// keep theirs, by whichever configuration they were made.
  private func signature(_ z: SectionNumber, _ affinityContent: String) throws -> UInt32 {
    if stages.watershed != nil, let file = try products.name(z, affinity: affinityContent, in: store),
      try store.parts(file).contains(.graph), let made = try content(file).graph.fragments.first
    {
      return made.signature
    }
    let hash = contentHash("\(name)|\(affinityContent)|\(stages.fragmentFingerprint)")
    return UInt32(hash.prefix(8), radix: 16).map { $0 & 0x3F_FFFF } ?? 0
  }

  // MARK: What was handed out

  /// Takes what has been done since, and hands on what can go further. Returns whether there was anything.
  /// - Throws: the first failure, when all else is taken. What failed is wanted again by the plan; affinities are not lost.
  func collect() throws -> Bool {
    var failure: (any Error)?
    var hasAny = false
    var blamed: [SectionFailure] = []
    func note(_ error: any Error) {
      if let error = error as? SectionFailure { blamed.append(error) } else { failure = failure ?? error }
    }
    making = making.compactMap { one in
      var one = one
      switch one.step {
      case .ready: return one
      case .affinities(let work):
        guard let result = work.result else { return one }
        hasAny = true
        switch result {
        case .success(let map): one.step = .ready(map)
        case .failure(let error):
          if !isGivenUp(one.order.z, error) { note(error) }
          return nil
        }
        return one
      case .product(let work, let map):
        guard let result = work.result else { return one }
        hasAny = true
        switch result {
        case .success(let made):
          products.insert(one.order.name, affinity: one.order.affinityContent)
          self.made.insert(one.order.name, made)
          troubles[one.order.z] = nil
          return nil
        case .failure(let error):
          if !(error is SectionWork.LacksFragmentsBelow), !isMended(error), !isGivenUp(one.order.z, error) {
            note(error)
          }
          one.step = .ready(map)
          return map == nil ? nil : one
        }
      }
    }
    for one in blamed { try hasFailed(one) }
    if let failure { throw failure }
    try handOn()
    return hasAny
  }

  /// Hands affinities on to be cut, in order, while there is room. Those on a section below as nobody wants it any more are
  /// let go.
  private func handOn() throws {
    making = try making.filter { one in
      guard case .ready = one.step, let below = one.order.below?.section, stages.watershed != nil else { return true }
      return try hasFragments(below) || isMaking(below) || isWanted(below)
    }
    for index in making.indices {
      guard case .ready(let map) = making[index].step, executor.hasRoom(for: .fragments),
        !isPaused(making[index].order.z)
      else { continue }
      var order = making[index].order
      if let below = order.below?.section, stages.watershed != nil {
        order.below?.file = try products.name(below.z, affinity: below.affinity, in: store)
        guard order.below?.file != nil || isBeingCut(below, before: index) else { continue }
      }
      let ordered = order
      let job = executor.start(.fragments) { [work] in try work.product(ordered, map) }
      making[index].step = .product(job, map)
    }
  }

  /// Pieces of work of one kind are done in order: what is cut before will be there.
  private func isBeingCut(_ below: Product.Below, before index: Int) -> Bool {
    making[..<index].contains {
      guard case .product = $0.step else { return false }
      return $0.order.z == below.z && $0.order.affinityContent == below.affinity
    }
  }
}
