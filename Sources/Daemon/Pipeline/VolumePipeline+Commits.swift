import DB
import Domain
import Volumes
import Logging

/// The rows: decisions on a section's edges, and the transaction that makes it final.
extension VolumePipeline {
  func commit(_ group: [Int]) throws {
    var commits: [SectionCommit] = []
    for place in group {
      let product = wantedProduct(place)
      let decisions = try timings.measure(.agglomerate) { try decide(place) }
      var commit = try sectionCommit(product, decisions)
      commit.signature = plan.decisionContent(place)
      commit.settled = try overlaps(product)
      commit.replaced = try replacements(product)
      if let first = commit.fragments.first, try !record.hasLabels(volume: volume.id, of: first.id) {
        commit.labels = try timings.measure(.database) { try labelTiles(commit.file) }
      }
      commits.append(commit)
    }
    _ = try timings.measure(.database) { try record.commitFinal(volume: volume.id, run: runID, commits) }
    for commit in commits {
      plan.noteCommitted(commit.z, content: commit.signature)
      try reloadRow(commit.z)
      removeProducts(commit.z, except: [commit.file])
      let accepted = commit.edges.count { $0.accepted }
      log.info(
        "\(name) z \(commit.z): final, \(commit.fragments.count) fragments, \(accepted) of \(commit.edges.count) edges accepted"
      )
    }
    for _ in commits { timings.noteFinal() }
    for commit in commits { try onFinal?(commit.z) }
  }

  private func decide(_ place: Int) throws -> [EdgeDecision] {
    let window = plan.window(place, below: stages.reach.behind, above: stages.reach.ahead)
    return try decide(place - window.lowerBound, in: window.map { try content(wantedProduct($0)).graph })
  }

  func decide(_ decided: Int, in window: [SectionGraph]) throws -> [EdgeDecision] {
    guard let stage = stages.agglomerate else {
      return window[decided].edges.map { EdgeDecision(accepted: false, score: Float($0.histogram.mean)) }
    }
    return try stage.decide(decided..<decided + 1, in: window)[0]
  }

  func sectionCommit(_ product: Product, _ decisions: [EdgeDecision]) throws -> SectionCommit {
    var commit = SectionCommit(
      z: product.z, file: fileName(product), signature: product.graph, fragments: [], edges: [],
      sectionID: rows[product.z]?.id)
    guard stages.watershed != nil else { return commit }
    let content = try content(product)
    commit.fragments = zip(content.summaries, content.graph.fragments).map { (summary: $0, id: $1) }
    commit.edges = zip(content.graph.edges, decisions).map { edge, decision in
      EdgeRow(
        a: edge.a, b: edge.b, contactArea: edge.histogram.total, meanAffinity: Float(edge.histogram.mean),
        score: decision.score, accepted: decision.accepted)
    }
    return commit
  }

  /// How the fragments shown provisionally lie on the final ones.
  private func overlaps(_ product: Product) throws -> [SettledOverlap] {
    guard stages.watershed != nil, let row = rows[product.z], row.state == .provisional, let file = row.file,
      products.contains(file)
    else { return [] }
    guard let oldGraph = try store.read(file, parts: [.graph]).graph, let counts = try overlapCounts(file, product)
    else { return [] }
    let new = try content(product).graph
    return counts.map {
      SettledOverlap(
        provisional: oldGraph.fragments[Int($0.a) - 1].provisional, final: new.fragments[Int($0.b) - 1],
        pixels: $0.pixels)
    }
  }

  /// How the fragments that were final lie on those that take their place, where people corrected some of them.
  private func replacements(_ product: Product) throws -> [ReplacedOverlap] {
    guard stages.watershed != nil, try record.isCorrected(volume: volume.id, z: product.z),
      let file = try record.lastFile(volume: volume.id, z: product.z), file != product.name, products.contains(file),
      let oldGraph = try store.read(file, parts: [.graph]).graph, let counts = try overlapCounts(file, product)
    else { return [] }
    let new = try content(product).graph
    return counts.map {
      ReplacedOverlap(old: oldGraph.fragments[Int($0.a) - 1], new: new.fragments[Int($0.b) - 1], pixels: $0.pixels)
    }
  }

  func removeProducts(_ z: SectionNumber, except kept: [String]) {
    for name in products.names(z) where !kept.contains(name) {
      do { try store.remove(name) } catch { log.warning("\(error)") }
      products.remove(name)
      made.remove(name)
    }
  }

  /// The product's file; empty where there is none, as no stage makes one.
  func fileName(_ product: Product) -> String { products.contains(product.name) ? product.name : "" }

  /// What agglomeration and the rows need of a product.
  func content(_ product: Product) throws -> SectionWork.Made {
    guard stages.watershed != nil else {
      return .init(graph: SectionGraph(z: product.z, fragments: [], areas: [], edges: []), summaries: [])
    }
    return try content(product.name)
  }

  func content(_ file: String) throws -> SectionWork.Made {
    if let known = made[file] { return known }
    let stored = try store.read(file, parts: [.graph, .summaries])
    guard let graph = stored.graph, let summaries = stored.summaries else {
      throw VolumeError.corrupt(path: store.path(file), reason: "it holds no region graph")
    }
    let found = SectionWork.Made(graph: graph, summaries: summaries)
    made.insert(file, found)
    return found
  }
}
