import DB
import Domain
import Foundation
import Logging
import Plugins
import Volumes

/// One volume's way from a complete file to committed rows. Used from one thread.
///
/// Durable state is the source images and products in the store (files, content-addressed) and the rows in the database; what is
/// held here can be lost at any moment. Every step may be repeated: it writes the same file, or the same rows.
final class VolumePipeline {
  let configuration: DaemonConfiguration.Volume
  let volume: VolumeRow
  var stages: StageSet
  let store: SectionStore
  var record: Record
  let log: Logger
  private var wroteVolumeAt: Int64?
  private(set) var plan: VolumePlan
  private(set) var runID: Int64
  var rows: [SectionNumber: SectionRow] = [:]
  var graphs: ProductCache<SectionGraph>
  var labels: ProductCache<FragmentSection>
  var products: ProductIndex
  /// Denoised sections that are too large for the memory.
  let scratch: DenoisedScratch
  private var missingCount = 0
  let timings = StageTimings()
  /// When a hole was first seen, by monotonic seconds.
  private var awaitedSince: [SectionNumber: Double] = [:]

  init(
    configuration: DaemonConfiguration.Volume, stages: StageSet, store: SectionStore, record: Record,
    provenance: Provenance, log: Logger
  ) throws {
    self.configuration = configuration
    self.stages = stages
    self.store = store
    self.record = record
    self.log = log
    let size = configuration.voxelSize
    volume = try record.openVolume(name: configuration.name, voxelSize: VoxelSize(z: size.z, y: size.y, x: size.x))
    guard try record.lockVolume(volume.id) else {
      throw OperatorError(
        "volume \(configuration.name) is in use by another fgnetd on this database; stop it, or give this one another volume",
        status: .unavailable)
    }
    runID = try record.startRun(
      volume: volume.id, configuration: provenance.configuration, fingerprint: stages.fingerprint,
      modelHash: provenance.modelHash, codeVersion: provenance.codeVersion)
    plan = VolumePlan(reach: stages.reach)
    let span = stages.reach.behind + stages.reach.ahead + 2
    graphs = ProductCache(capacity: span, limit: stages.memoryLimit / 32) { $0.bytes }
    labels = ProductCache(capacity: 3, limit: stages.memoryLimit / 64) { $0.labels.storage.count * 4 }
    scratch = DenoisedScratch(directory: store.directory, capacity: 2 * stages.reach.context + 2)
    try store.prepare()
    try store.removeTemporaries()
    if stages.scratchBytes > 0 {
      try stages.affinity?.useScratch(directory: store.directory, bytes: stages.scratchBytes)
    }
    products = ProductIndex(try store.names(withPrefix: "z"))
    try load()
  }

  private func load() throws {
    let all = try record.sections(volume.id)
    for row in all {
      rows[row.z] = row
      if row.state == .missing { plan.declareMissing(row.z) } else { plan.insert(row.z, source: row.sha256 ?? "") }
    }
    plan.finish(at: volume.lastZ)
    for row in all where row.state == .final { plan.noteCommitted(row.z, content: row.signature ?? "") }
    missingCount = all.count { $0.state == .missing }
  }

  /// Takes over what an operator changed in the database: missing sections, the volume's end.
  func refresh() throws {
    let now = try record.operatorChanges(volume: volume.id)
    if now.lastZ != plan.lastZ { plan.finish(at: now.lastZ) }
    guard now.missing != missingCount else { return }
    for row in try record.sections(volume.id) where row.state == .missing && rows[row.z]?.state != .missing {
      rows[row.z] = row
      plan.declareMissing(row.z)
      awaitedSince[row.z] = nil
    }
    missingCount = now.missing
  }

  var name: String { configuration.name }

  // MARK: Intake

  /// Takes a complete file in: its pixels go to the store, then its row to the database. Repeating it changes nothing.
  func receive(_ file: OfferedFile) throws {
    let sha = try ContentHash.sha256(ofFile: file.path)
    let image = try ImageReader.read(file.path)
    if let last = plan.lastZ, file.z > last {
      log.notice("\(name) goes on above z \(last), which was said to be the last")
      try record.setFinished(volume: volume.id, lastZ: nil, run: runID)
      plan.finish(at: nil)
    }
    if rows[file.z]?.sha256 != sha {
      try store.writeSource(
        image, z: file.z, name: imageName(file.z, sha), attributes: ["source": file.path, "sha256": sha])
      products.insert(imageName(file.z, sha))
    }
    let statistics = image.statistics()
    let outcome = try record.receive(
      volume: volume.id, z: file.z, sha256: sha, path: file.path, size: file.size, mtimeNs: file.mtimeNs,
      height: image.pixels.height, width: image.pixels.width, bitDepth: image.bitDepth,
      meanIntensity: statistics.mean, stdIntensity: statistics.std, run: runID)
    switch outcome {
    case .wrongSize(let height, let width):
      try store.remove(imageName(file.z, sha))
      throw VolumeError.unsupported(
        path: file.path,
        reason: "it has \(image.pixels.height) x \(image.pixels.width) pixels, the sections of volume \(name) have "
          + "\(height) x \(width)")
    case .duplicate:
      log.info("\(name) z \(file.z): the same bytes again, nothing to do (\(file.path))")
      return
    case .new(_, let twin):
      log.info("\(name) z \(file.z): received \(file.path)")
      if let twin { log.warning("\(name) z \(file.z) has the same bytes as z \(twin)") }
    case .revision(_, let revision):
      log.warning("\(name) z \(file.z): received again with other content, revision \(revision) (\(file.path))")
    case .filledGap:
      missingCount -= 1
      log.info("\(name) z \(file.z): received after it was declared missing (\(file.path))")
    }
    try reloadRow(file.z)
    plan.insert(file.z, source: sha)
    awaitedSince[file.z] = nil
  }

  func declareMissing(_ z: SectionNumber) throws {
    try record.declareMissing(volume: volume.id, z: z, run: runID)
    try reloadRow(z)
    plan.declareMissing(z)
    missingCount += 1
    awaitedSince[z] = nil
    log.warning("\(name) z \(z): declared missing, neighbours are linked across")
  }

  /// Nothing comes above the last present section: the tail becomes final.
  func finish(at z: SectionNumber?) throws {
    guard let last = z ?? plan.stack.last, last != plan.lastZ else { return }
    try record.setFinished(volume: volume.id, lastZ: last, run: runID)
    plan.finish(at: last)
  }

  /// Declares holes that have been open for longer than the configuration allows.
  func declareOverdue(now: Double) throws {
    guard let limit = configuration.missingAfter else { return }
    let awaited = plan.awaited()
    for z in awaited where awaitedSince[z] == nil { awaitedSince[z] = now }
    for z in awaited where now - (awaitedSince[z] ?? now) >= limit { try declareMissing(z) }
  }

  // MARK: Work

  /// Does the next piece of work: one section's products, or one commit. Returns false when there is none.
  /// `showsTail`: sections that are not final yet are shown provisionally when nothing else is to do.
  func step(showsTail: Bool) throws -> Bool {
    let group = plan.nextCommit()
    if !group.isEmpty {
      for place in group {
        for other in plan.window(place, below: stages.reach.behind, above: stages.reach.ahead) {
          if try makeProduct(wantedProduct(other)) { return true }
        }
      }
      try commit(group)
      return true
    }
    for z in plan.unsettled {
      guard let place = plan.place(of: z), plan.isGraphFinal(place) else { continue }
      if try makeProduct(wantedProduct(place)) { return true }
    }
    return showsTail ? try showNextProvisional() : false
  }

  /// Whether all present sections have final rows.
  var isSettled: Bool { plan.unsettled.isEmpty }

  // MARK: Products

  /// A section's product: which file, and what it is computed from.
  struct Product {
    var place: Int
    var z: SectionNumber
    var affinity: String
    /// The section below and the content of the affinities its fragments come from.
    var below: (z: SectionNumber, affinity: String)?
    var graph: String
    var name: String { productName(z, graph) }
  }

  private func product(_ place: Int, affinity: String, below: String?) -> Product {
    Product(
      place: place, z: plan.stack[place], affinity: affinity,
      below: below.map { (z: plan.stack[place - 1], affinity: $0) },
      graph: VolumePlan.graphContent(affinity: affinity, below: below, gap: plan.gapBelow(place)))
  }

  /// What the place's product is to be, given the sections there are.
  private func wantedProduct(_ place: Int) -> Product {
    product(
      place, affinity: plan.affinityContent(place), below: place > 0 ? plan.affinityContent(place - 1) : nil)
  }

  /// Makes the product if its file is not there. Returns whether it did anything.
  private func makeProduct(_ product: Product) throws -> Bool {
    guard stages.affinity != nil || !stages.denoise.isEmpty else { return false }
    if products.contains(product.name) { return false }
    let isLarge = isLarge(product.z)
    if stages.watershed != nil, let below = product.below,
      try isLarge
        ? madeProduct(of: below.z, affinity: below.affinity) == nil : fragmentLabels(below.z, below.affinity) == nil
    {
      // The section below was lost from the store: it comes first.
      return try makeProduct(wantedProduct(product.place - 1))
    }
    var content = SectionProducts(z: product.z)
    content.attributes = [
      "affinity_content": product.affinity, "graph_content": product.graph, "configuration": stages.fingerprint,
    ]
    if let affinity = stages.affinity, isLarge {
      try makeLargeProduct(product, affinity, attributes: content.attributes)
      return true
    }
    if let affinity = stages.affinity {
      let reused = try reusableProduct(of: product.z, affinity: product.affinity)
      let map = try reused?.affinities ?? timings.measure("affinity") { try affinities(product.place, affinity) }
      content.affinities = map
      if let watershed = stages.watershed {
        let fragments = try reused?.fragments ?? timings.measure("watershed") { try watershed.fragments(of: map) }
        let graph = try timings.measure("region graph") { try regionGraph(product, fragments, map) }
        content.fragments = fragments
        content.graph = graph.graph
        content.summaries = graph.summaries
        labels.insert(labelKey(product.z, product.affinity), fragments)
        graphs.insert(product.name, graph.graph)
      }
    } else {
      content.image = try isLarge ? quantisedByBands(product.z) : quantised(denoisedImage(product.z))
    }
    try timings.measure("store") { try store.write(content, name: product.name) }
    products.insert(product.name)
    return true
  }

  /// A product of the same section with the same affinities, on another neighbour below: nothing of the network is done again.
  private func reusableProduct(of z: SectionNumber, affinity: String) throws -> SectionProducts? {
    guard let name = madeProduct(of: z, affinity: affinity) else { return nil }
    return try store.read(name, parts: [.affinities, .fragments])
  }

  func madeProduct(of z: SectionNumber, affinity: String) -> String? {
    products.names(z).first { (try? store.attributes($0))?["affinity_content"] == affinity }
  }

  func affinities(_ place: Int, _ stage: any AffinityStage) throws -> AffinitySection {
    // Two radii below, so that the stage knows, at the top of the stack, what it keeps for the sections before it by their
    // whole context.
    let window = plan.window(place, below: 2 * stage.contextRadius, above: stage.contextRadius)
    return try stage.affinities(of: place - window.lowerBound, in: window.map { stackSection(plan.stack[$0]) })
  }

  func denoisedImage(_ z: SectionNumber) throws -> Plane<Float> {
    guard let sha = plan.sources[z] else {
      throw OperatorError("\(name) z \(z): no source is recorded; this is a fault of the program")
    }
    let image = try timings.measure("read") { try sourceImage(z, sha) }
    return stages.denoise.isEmpty ? image : try timings.measure("denoise") { try stages.denoised(image) }
  }

  /// The section's pixels from the store, or, if that file was damaged, once more from the source.
  @discardableResult
  func sourceImage(_ z: SectionNumber, _ sha: String) throws -> Plane<Float> {
    let name = imageName(z, sha)
    do { return try store.readSource(name).normalised() } catch {
      guard let path = rows[z]?.sourcePath, (try? ContentHash.sha256(ofFile: path)) == sha else { throw error }
      log.warning("\(error); made again from \(path)")
      let image = try ImageReader.read(path)
      try store.writeSource(image, z: z, name: name, attributes: ["source": path, "sha256": sha])
      return image.normalised()
    }
  }

  private func regionGraph(_ product: Product, _ fragments: FragmentSection, _ map: AffinitySection) throws
    -> (graph: SectionGraph, summaries: [FragmentSummary])
  {
    var previous: PreviousSection?
    if let below = product.below, let found = try fragmentLabels(below.z, below.affinity) {
      previous = PreviousSection(fragments: found, z: below.z, signature: signature(below.affinity))
    }
    let gap = plan.gapBelow(product.place) ?? 0
    return try RegionGraphBuilder.graph(
      z: product.z, signature: signature(product.affinity), fragments: fragments, affinities: map, previous: previous,
      gapConfidence: pow(stages.gapConfidence, Double(gap)))
  }

  func fragmentLabels(_ z: SectionNumber, _ affinity: String) throws -> FragmentSection? {
    let key = labelKey(z, affinity)
    if let known = labels[key] { return known }
    guard let found = try reusableProduct(of: z, affinity: affinity)?.fragments else { return nil }
    labels.insert(key, found)
    return found
  }

  private func graph(_ product: Product) throws -> SectionGraph {
    guard stages.watershed != nil else { return SectionGraph(z: product.z, fragments: [], areas: [], edges: []) }
    if let known = graphs[product.name] { return known }
    guard let found = try store.read(product.name, parts: [.graph]).graph else {
      throw OperatorError("\(store.path(product.name)) holds no region graph; remove the file, it is made again")
    }
    graphs.insert(product.name, found)
    return found
  }

  /// 22 bits that tell fragments of different content or configuration apart (Domain.FragmentID).
  func signature(_ affinityContent: String) -> UInt32 {
    let hash = contentHash("\(name)|\(affinityContent)|\(stages.fragmentFingerprint)")
    return UInt32(hash.prefix(8), radix: 16).map { $0 & 0x3F_FFFF } ?? 0
  }

  // MARK: Commits

  private func commit(_ group: [Int]) throws {
    var commits: [SectionCommit] = []
    for place in group {
      let product = wantedProduct(place)
      let decisions = try timings.measure("agglomerate") { try decide(place) }
      var commit = try sectionCommit(product, decisions)
      commit.signature = plan.decisionContent(place)
      commit.settled = try overlaps(product)
      commits.append(commit)
    }
    _ = try timings.measure("database") { try record.commitFinal(volume: volume.id, run: runID, commits) }
    for commit in commits {
      plan.noteCommitted(commit.z, content: commit.signature)
      try reloadRow(commit.z)
      removeProducts(commit.z, except: [commit.file])
      let accepted = commit.edges.count { $0.accepted }
      log.info(
        "\(name) z \(commit.z): final, \(commit.fragments.count) fragments, \(accepted) of \(commit.edges.count) edges accepted"
      )
    }
  }

  private func decide(_ place: Int) throws -> [EdgeDecision] {
    let window = plan.window(place, below: stages.reach.behind, above: stages.reach.ahead)
    return try decide(place - window.lowerBound, in: window.map { try graph(wantedProduct($0)) })
  }

  private func decide(_ decided: Int, in window: [SectionGraph]) throws -> [EdgeDecision] {
    guard let stage = stages.agglomerate else {
      return window[decided].edges.map { EdgeDecision(accepted: false, score: Float($0.histogram.mean)) }
    }
    return try stage.decide(decided..<decided + 1, in: window)[0]
  }

  private func sectionCommit(_ product: Product, _ decisions: [EdgeDecision]) throws -> SectionCommit {
    var commit = SectionCommit(
      z: product.z, file: fileName(product), signature: product.graph, fragments: [], edges: [],
      sectionID: rows[product.z]?.id)
    guard stages.watershed != nil else { return commit }
    let graph = try graph(product)
    let summaries = try store.read(product.name, parts: [.summaries]).summaries ?? []
    commit.fragments = zip(summaries, graph.fragments).map { (summary: $0, id: $1) }
    commit.edges = zip(graph.edges, decisions).map { edge, decision in
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
    else {
      return []
    }
    let new = try graph(product)
    return counts.map {
      SettledOverlap(
        provisional: oldGraph.fragments[Int($0.a) - 1].provisional, final: new.fragments[Int($0.b) - 1],
        pixels: $0.pixels)
    }
  }

  private func removeProducts(_ z: SectionNumber, except kept: [String]) {
    for name in products.names(z) where !kept.contains(name) {
      do { try store.remove(name) } catch { log.warning("\(error)") }
      products.remove(name)
      graphs.remove(name)
    }
  }

  private func fileName(_ product: Product) -> String { products.contains(product.name) ? product.name : "" }

  // MARK: The tail

  /// Shows the lowest section of the tail whose rows are not of the best product there can be by now: sections that came
  /// since, and those whose neighbour below got its final product. The network runs once for each new section only.
  private func showNextProvisional() throws -> Bool {
    var below: Product?
    for z in plan.unsettled {
      guard let place = plan.place(of: z), plan.isNew(z) else { continue }
      if below?.place != place - 1 { below = place > 0 ? try shownProduct(place - 1, below: nil) : nil }
      let product = try shownProduct(place, below: below)
      if rows[z]?.state == .received || rows[z]?.file != fileName(product) {
        try showProvisional(product)
        return true
      }
      below = product
    }
    return false
  }

  /// The product a place of the tail is shown with: the wanted one where it is made, else the affinities already shown (or, for
  /// a new section, those that its present context gives) on top of what is shown below.
  private func shownProduct(_ place: Int, below: Product?) throws -> Product {
    let wanted = wantedProduct(place)
    if products.contains(wanted.name) { return wanted }
    var affinity = wanted.affinity
    if let row = rows[wanted.z], let file = row.file, !file.isEmpty, products.contains(file),
      let shown = try store.attributes(file)["affinity_content"]
    {
      affinity = shown
    }
    var under = below?.affinity
    if under == nil, place > 0 { under = try shownProduct(place - 1, below: nil).affinity }
    return product(place, affinity: affinity, below: under)
  }

  private func showProvisional(_ product: Product) throws {
    _ = try makeProduct(product)
    var decisions: [EdgeDecision] = []
    if stages.watershed != nil {
      let window = try shownWindow(product)
      decisions = try timings.measure("agglomerate") { try decide(window.count - 1, in: window) }
    }
    var commit = try sectionCommit(product, decisions)
    commit.useProvisionalIDs { rows[$0]?.state != .final }
    _ = try timings.measure("database") { try record.commitProvisional(volume: volume.id, run: runID, commit) }
    try reloadRow(product.z)
    removeProducts(product.z, except: [commit.file, wantedProduct(product.place).name])
    log.info("\(name) z \(product.z): provisional, \(commit.fragments.count) fragments")
  }

  /// The graphs below a shown section, as far down as each stands on the next.
  private func shownWindow(_ top: Product) throws -> [SectionGraph] {
    var window = [try graph(top)]
    var upper = top
    while window.count <= stages.reach.behind, upper.place > 0 {
      let lower = try shownProduct(upper.place - 1, below: nil)
      guard products.contains(lower.name), upper.below?.affinity == lower.affinity else { break }
      window.append(try graph(lower))
      upper = lower
    }
    return window.reversed()
  }

  // MARK: The whole

  /// Writes `volume.h5`, the stack as one array over the section files, if anything was committed since. Called when
  /// nothing else is to do: its time grows with the stack.
  func publishVolume() throws {
    let operation = try record.lastOperation(volume: volume.id)
    guard let operation, operation != wroteVolumeAt else { return }
    let shown = rows.values.filter { $0.state == .final || $0.state == .provisional }.sorted { $0.z < $1.z }
    guard let first = shown.first, let height = first.height, let width = first.width else { return }
    var fragments: [(z: SectionNumber, file: String)] = []
    for row in shown { if let file = row.file, !file.isEmpty { fragments.append((row.z, file)) } }
    if !fragments.isEmpty {
      try VirtualVolume.write(
        store.path("volume.h5"), entries: fragments, height: height, width: width,
        datasets: stages.watershed == nil ? ["affinities"] : ["fragments", "affinities"])
    }
    try VirtualVolume.write(
      store.path("images.h5"), entries: shown.map { ($0.z, imageName($0.z, $0.sha256 ?? "")) }, height: height,
      width: width, datasets: ["image"])
    wroteVolumeAt = operation
  }

  var status: DaemonStatus.Volume {
    func count(_ state: SectionState) -> Int { rows.values.count { $0.state == state } }
    return DaemonStatus.Volume(
      name: name, folder: configuration.folder, received: count(.received), provisional: count(.provisional),
      final: count(.final), missing: count(.missing), awaited: plan.awaited(), finishedAt: plan.lastZ,
      secondsByStage: timings.seconds)
  }

  // MARK: Rows and names

  private func reloadRow(_ z: SectionNumber) throws {
    rows[z] = try record.section(volume.id, z: z)
  }

  private func labelKey(_ z: SectionNumber, _ affinity: String) -> String { "\(z)/\(affinity)" }
}
