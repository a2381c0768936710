import Domain
import Testing

@testable import Plugins

@Suite("Defaults of a weights file")
struct ModelDefaultsTests {
  static let json = """
    {"watershed": {"name": "seeded", "threshold": 0.25, "minimum_size": 7},
     "agglomerate": {"name": "windowed", "scoring": "mean", "init_with_max": false, "quantile": 60}}
    """

  static func faults(_ json: String) -> [String] {
    do throws(OptionFaults) {
      return try ModelDefaults(json: json, source: "m.h5").faults(.builtIn)
    } catch {
      return error.faults
    }
  }

  @Test("options are those of the stage that has the name")
  func names() throws {
    let defaults = try ModelDefaults(json: Self.json, source: "m.h5")
    #expect(
      defaults.options(.watershed, named: "seeded") == ["threshold": .double(0.25), "minimum_size": .int(7)])
    #expect(
      defaults.options(.agglomerate, named: "windowed") == [
        "scoring": .string("mean"), "init_with_max": .bool(false), "quantile": .int(60),
      ])
    #expect(defaults.options(.watershed, named: "other").isEmpty && defaults.options(.denoise, named: "median").isEmpty)
    #expect(defaults.faults(.builtIn).isEmpty)
    #expect(try ModelDefaults(json: "", source: "m.h5").sections.isEmpty)
    #expect(try ModelDefaults(json: "{}", source: "m.h5").sections.isEmpty)
  }

  @Test("the configuration is before the model, the model before the table")
  func precedence() throws {
    let defaults = try ModelDefaults(json: Self.json, source: "m.h5")
    let settings = try StageRegistry.builtIn.settings(
      .watershed, named: "seeded", options: ["minimum_size": .int(11)],
      model: defaults.options(.watershed, named: "seeded"), path: "stages.watershed")
    #expect(
      settings == [
        OptionSetting(name: "threshold", value: .double(0.25), source: .model),
        OptionSetting(name: "seed_distance", value: .int(2), source: .table),
        OptionSetting(name: "seed_smoothing", value: .double(0), source: .table),
        OptionSetting(name: "minimum_size", value: .int(11), source: .configuration),
        OptionSetting(name: "small_fragments", value: .string("merge"), source: .table),
      ])
  }

  @Test(
    "every fault is a sentence that names the file",
    arguments: [
      ("{", "postprocessing: is not a JSON object"),
      ("[]", "postprocessing: is not a JSON object"),
      (#"{"agglomeration": {"statistic": "mean", "threshold": 0.5}}"#, "there is no section agglomeration"),
      (#"{"watershed": {"boundary_threshold": 0.5}}"#, "postprocessing.watershed: is not a JSON object with the name"),
      (#"{"watershed": 3}"#, "postprocessing.watershed: is not a JSON object with the name"),
      (#"{"watershed": {"name": "seeded", "boundary": 0.5}}"#, "watershed.boundary: there is no such option"),
      (#"{"watershed": {"name": "seeded", "threshold": 5}}"#, "watershed.threshold: is 5, a whole number, but must be"),
      (#"{"watershed": {"name": "seeded", "threshold": null}}"#, "watershed.threshold: is no truth value"),
      (#"{"watershed": {"name": "seeded", "threshold": {"a": 1}}}"#, "watershed.threshold: is no truth value"),
      (
        #"{"agglomerate": {"name": "windowed", "quantile": 7.5}}"#,
        "agglomerate.quantile: is 7.5, a number, but must be"
      ),
      (#"{"agglomerate": {"name": "windowed", "scoring": [1]}}"#, "agglomerate.scoring: is [1], a list, but must be"),
    ])
  func faultsNameTheFile(json: String, expected: String) {
    let found = Self.faults(json)
    #expect(found.count == 1)
    #expect(found.allSatisfy { $0.hasPrefix("weights file m.h5, ") && $0.contains(expected) }, "\(found)")
  }

  @Test("all faults come at once")
  func atOnce() {
    let found = Self.faults(
      #"{"a": {}, "b": 1, "watershed": {"x": 1}, "agglomerate": {"name": "windowed", "k": null}}"#)
    #expect(found.count == 4, "\(found)")
  }

  @Test("a stage that is not there applies to nothing and is passed over")
  func unknownStage() throws {
    let defaults = try ModelDefaults(json: #"{"watershed": {"name": "future", "depth": 3}}"#, source: "m.h5")
    #expect(defaults.faults(.builtIn).isEmpty && defaults.options(.watershed, named: "seeded").isEmpty)
  }
}
