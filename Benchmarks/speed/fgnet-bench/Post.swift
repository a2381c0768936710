import ArgumentParser
import Domain
import Foundation
import Plugins

/// What comes after the network, on stored affinities: best seconds over all sections, one line of JSON.
struct Post: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watershed, region graph and agglomeration of stored affinities.")
  @Argument(help: "Weights file: its options are used.") var model: String
  @Argument(help: "A volume's folder in the store: <state_directory>/sections/<volume>.") var sections: String
  @Argument(help: "Folder for the segments, at-once.h5 and windows.h5.") var output: String
  @Option(help: "Rounds; the best counts.") var rounds = 5

  func run() throws {
    let stages = try PostStages(model: model)
    let stack = try StoredStack(folder: sections)
    var best: [String: Double] = [:]
    func measure<Result>(_ what: String, _ work: () throws -> Result) throws -> Result {
      // Done once before it is timed, so that memory and code are there.
      var result = try work()
      best[what] = try timed(rounds) { _ in result = try work() }.min()
      return result
    }
    try measureFlood(stack, stages.watershed, measure)
    let fragments = try measure("watershed") { try stack.affinities.map(stages.watershed.fragments) }
    let graphs = try measure("region graph") { try stack.graphs(fragments) }
    let atOnce = try measure("at once") { try stages.agglomerator.agglomerateAll(graphs) }
    let windows = try stages.agglomerator.agglomerate(graphs)
    best["windows"] = try steadySeconds(graphs, stages.agglomerator.options) * Double(graphs.count)
    // Into memory that is there, as waterz writes its segments over the fragments.
    var labels = stack.labels(fragments, graphs, atOnce)
    _ = try measure("labels") { stack.label(&labels, fragments, graphs, atOnce) }
    try stack.write(labels, to: output + "/at-once.h5")
    try stack.write(stack.labels(fragments, graphs, windows), to: output + "/windows.h5")
    try show([
      "sections": stack.z.count, "pixels": stack.pixels, "fragments": fragments.reduce(0) { $0 + $1.count },
      "edges": graphs.reduce(0) { $0 + $1.edges.count }, "seconds": best,
    ])
  }

  /// Seconds to decide a section whose windows all lie within the stack, one section after the other as the daemon does: the
  /// median of the sections, the best of the rounds.
  private func steadySeconds(_ graphs: [SectionGraph], _ options: AgglomeratorOptions) throws -> Double {
    let behind = options.lookBehind
    let ahead = options.lookAhead
    guard graphs.count > behind + ahead + options.agreementShift else {
      throw ValidationError(
        "the volume has \(graphs.count) sections; \(behind + ahead + options.agreementShift + 1) are needed")
    }
    return try (0..<rounds).map { _ in
      let agglomerator = try Agglomerator(options)
      var seconds: [Double] = []
      for index in graphs.indices {
        let first = max(0, index - behind)
        let window = Array(graphs[first..<min(graphs.count, index + ahead + 1)])
        let one = try timed(1) { _ in _ = try agglomerator.decide(index - first..<index - first + 1, in: window) }[0]
        if index >= behind && index + ahead < graphs.count { seconds.append(one) }
      }
      return seconds.sorted()[seconds.count / 2]
    }.min() ?? 0
  }

  /// The flood alone, from seeds that are there.
  private func measureFlood(
    _ stack: StoredStack, _ watershed: SeededWatershed,
    _ measure: (String, () throws -> [Plane<UInt32>]) throws -> [Plane<UInt32>]
  ) throws {
    let seeds = try stack.affinities.map(watershed.seeds)
    _ = try measure("flood") {
      try zip(stack.affinities, seeds).map { try watershed.flooded($0, from: $1) }
    }
  }

  private func show(_ fields: [String: Any]) throws {
    print(String(decoding: try JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys]), as: UTF8.self))
  }
}
