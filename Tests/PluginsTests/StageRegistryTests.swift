import Domain
import Testing

@testable import Plugins

@Suite("Stage registry")
struct StageRegistryTests {
  let registry = StageRegistry.builtIn

  @Test("every built-in stage is made from its defaults, under its own name")
  func defaults() throws {
    for stage in registry.descriptions() {
      #expect(registry.faults(stage.kind, named: stage.name, options: [:], path: "x") == [])
      switch stage.kind {
      case .denoise: #expect(try registry.denoise(named: stage.name, options: [:], path: "x").name == stage.name)
      case .watershed: #expect(try registry.watershed(named: stage.name, options: [:], path: "x").name == stage.name)
      case .agglomerate:
        #expect(try registry.agglomerate(named: stage.name, options: [:], path: "x").name == stage.name)
      case .affinity: Issue.record("an affinity stage without a model")
      }
    }
    #expect(registry.descriptions(of: .denoise).map(\.name) == ["median", "nlm", "clahe"])
    #expect(registry.descriptions(of: .watershed).map(\.name) == ["seeded"])
    #expect(registry.descriptions(of: .agglomerate).map(\.name) == ["windowed"])
  }

  @Test("the tables' defaults are the options' own")
  func tables() throws {
    #expect(MedianOptions.table.map(\.defaultValue) == MedianOptions().values)
    #expect(NonLocalMeansOptions.table.map(\.defaultValue) == NonLocalMeansOptions().values)
    #expect(ClaheOptions.table.map(\.defaultValue) == ClaheOptions().values)
    #expect(SeededWatershedOptions.table.map(\.defaultValue) == SeededWatershedOptions().values)
    #expect(AgglomeratorOptions.table.map(\.defaultValue) == AgglomeratorOptions().values)
    for stage in registry.descriptions() {
      for option in stage.options { #expect(option.defaultValue.flatMap { option.type.accept($0) } != nil) }
    }
  }

  @Test("options reach the stage")
  func given() throws {
    let stage = try registry.denoise(
      named: "nlm", options: ["patch_radius": .int(3), "search_radius": .int(4), "strength": .int(1)], path: "d")
    #expect(stage.halo == 7)
    #expect(stage.fingerprint == "nlm/1 patch_radius=3 search_radius=4 strength=1.0")
    let agglomerate = try registry.agglomerate(
      named: "windowed",
      options: [
        "scoring": .string("mean"), "look_ahead": .int(2), "look_behind": .int(3), "agreement_shift": .int(1),
        "quantile": .int(75),
        "init_with_max": .bool(false), "threshold": .double(0.25), "dust_size": .int(5), "dust_threshold": .double(0),
      ], path: "a")
    #expect(agglomerate.lookAhead == 2 && agglomerate.lookBehind == 3)
    let made = try #require(agglomerate as? Agglomerator)
    var options = AgglomeratorOptions()
    options.scoring = .mean
    options.lookAhead = 2
    options.lookBehind = 3
    options.agreementShift = 1
    options.quantile = 75
    options.initialiseWithMaximum = false
    options.threshold = 0.25
    options.dustSize = 5
    options.dustThreshold = 0
    #expect(made.options == options)
    let watershed = try registry.watershed(
      named: "seeded",
      options: [
        "threshold": .double(0.25), "seed_distance": .int(4), "seed_smoothing": .double(1.5),
        "minimum_size": .int(9), "small_fragments": .string("drop"),
      ], path: "w")
    #expect(
      watershed.fingerprint
        == "seeded/1 threshold=0.25 seed_distance=4 seed_smoothing=1.5 minimum_size=9 small_fragments=\"drop\"")
  }

  @Test("all faults come at once, each with its path")
  func faults() {
    let faults = registry.faults(
      .denoise, named: "nlm",
      options: [
        "patch_radius": .int(99), "search_radius": .string("wide"), "strength": .double(.nan), "zeal": .bool(true),
        "airs": .array([.int(1)]),
      ], path: "stages.denoise[1]")
    #expect(faults.count == 5)
    for name in ["patch_radius", "search_radius", "strength", "zeal", "airs"] {
      #expect(faults.count { $0.hasPrefix("stages.denoise[1].\(name): ") } == 1, "\(name)")
    }
    #expect(
      faults.first == "stages.denoise[1].patch_radius: is 99, a whole number, but must be a whole number from 1 to 5.")
  }

  @Test("an unknown stage names the known ones")
  func unknown() {
    #expect(
      registry.faults(.denoise, named: "blur", options: [:], path: "stages.denoise[0]") == [
        "stages.denoise[0]: there is no denoise stage \"blur\"; there are median, nlm, clahe."
      ])
    #expect(throws: OptionFaults.self) { try registry.watershed(named: "nlm", options: [:], path: "w") }
    #expect(
      registry.faults(.affinity, named: "fgnet", options: [:], path: "a") == [
        "a: there is no affinity stage \"fgnet\"; there are none."
      ])
  }

  final class Flat: AffinityStage {
    let model: String
    init(model: String) { self.model = model }
    var name: String { "fgnet" }
    var halo: Int { 0 }
    var contextRadius: Int { 0 }
    var fingerprint: String { model }
    func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
      let image = try stack[index].image()
      let flat = Plane<UInt8>(height: image.height, width: image.width, repeating: 255)
      return AffinitySection(z: flat, y: flat, x: flat)
    }
  }

  @Test("the network is registered with a maker that gets its model")
  func network() throws {
    var registry = registry
    registry.registerFGNet { (options: FGNetOptions) throws(StageError) in
      guard options.model != "missing.h5" else { throw StageError(stage: "fgnet", reason: "missing.h5 is not there.") }
      return Flat(model: options.model)
    }
    #expect(registry.contains(.affinity, named: "fgnet") && !registry.contains(.watershed, named: "fgnet"))
    #expect(try registry.affinity(named: "fgnet", options: ["model": .string("a.h5")], path: "p").fingerprint == "a.h5")
    #expect(
      registry.faults(.affinity, named: "fgnet", options: [:], path: "p") == ["p.model: is missing; give a path."])
    #expect(throws: OptionFaults(["p: missing.h5 is not there."])) {
      try registry.affinity(named: "fgnet", options: ["model": .string("missing.h5")], path: "p")
    }
    #expect(StageRegistry.builtIn.descriptions(of: .affinity).isEmpty)
  }
}
