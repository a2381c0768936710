import DB
import Domain
import Logging

/// The tail: sections that are not final yet, shown with what there is.
extension VolumePipeline {
  /// Shows the lowest section of the tail whose rows are not of the best product there can be by now: sections that came
  /// since, and those whose neighbour below got its final product. The network runs once for each new section only.
  func showNextProvisional() throws -> Progress {
    var below: Product?
    for z in plan.unsettled {
      guard let place = plan.place(of: z), plan.isNew(z) else { continue }
      if below?.place != place - 1 { below = place > 0 ? try shownProduct(place - 1, below: nil) : nil }
      let product = try shownProduct(place, below: below)
      if rows[z]?.state == .received || rows[z]?.file != fileName(product) {
        guard try want(product) else { return making.isEmpty ? .idle : .waiting }
        try showProvisional(product)
        return .worked
      }
      below = product
    }
    return .idle
  }

  /// The product a place of the tail is shown with: the wanted one where it is made, else the affinities already shown (or, for
  /// a new section, those that its present context gives) on top of what is shown below.
  private func shownProduct(_ place: Int, below: Product?) throws -> Product {
    let wanted = wantedProduct(place)
    if products.contains(wanted.name) { return wanted }
    var affinity = wanted.affinity
    if let file = rows[wanted.z]?.file, !file.isEmpty, products.contains(file),
      let shown = try products.affinity(of: file, in: store)
    {
      affinity = shown
    }
    var under = below?.affinity
    if under == nil, place > 0 { under = try shownProduct(place - 1, below: nil).affinity }
    return product(place, affinity: affinity, below: under)
  }

  private func showProvisional(_ product: Product) throws {
    var decisions: [EdgeDecision] = []
    if stages.watershed != nil {
      let window = try shownWindow(product)
      decisions = try timings.measure(.agglomerate) { try decide(window.count - 1, in: window) }
    }
    var commit = try sectionCommit(product, decisions)
    commit.useProvisionalIDs { rows[$0]?.state != .final }
    if !commit.fragments.isEmpty { commit.labels = try timings.measure(.database) { try labelTiles(commit.file) } }
    _ = try timings.measure(.database) { try record.commitProvisional(volume: volume.id, run: runID, commit) }
    try reloadRow(product.z)
    removeProducts(product.z, except: [commit.file, wantedProduct(product.place).name])
    log.info("\(name) z \(product.z): provisional, \(commit.fragments.count) fragments")
  }

  /// The graphs below a shown section, as far down as each stands on the next.
  private func shownWindow(_ top: Product) throws -> [SectionGraph] {
    var window = [try content(top).graph]
    var upper = top
    while window.count <= stages.reach.behind, upper.place > 0 {
      let lower = try shownProduct(upper.place - 1, below: nil)
      guard products.contains(lower.name), upper.below?.affinity == lower.affinity else { break }
      window.append(try content(lower).graph)
      upper = lower
    }
    return window.reversed()
  }
}
