import Foundation
import Plugins
import Testing

@testable import Daemon

@Suite struct ConfigurationTests {
  let good = """
    state_directory: /var/lib/fgnetd
    volumes:
      - name: a
        folder: /data/a
    stages:
      affinity:
        model: model.h5
    """

  func faults(_ text: String) -> [String] {
    do {
      _ = try DaemonConfiguration.parse(text, path: "test.yaml")
      return []
    } catch let error as ConfigurationError {
      return error.faults.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  @Test func defaultsFillWhatIsNotSaid() throws {
    let configuration = try DaemonConfiguration.parse(good, path: "test.yaml")
    #expect(configuration.databaseURL == nil)
    #expect(configuration.volumes[0].voxelSize == (30, 6, 6))
    #expect(configuration.volumes[0].missingAfter == nil)
    #expect(configuration.watershed.name == "seeded" && configuration.watershed.enabled)
    #expect(configuration.affinity.options["model"] == .string("model.h5"))
    #expect(configuration.intake.settle == 2)
  }

  @Test func howFilesAreReadIsToldByVolume() throws {
    let text = good.replacing(
      "folder: /data/a",
      with: "folder: /data/a\n    stack: sections\n    dataset: volumes/raw\n    intensity_range: [-1.5, 4095]")
    let images = try DaemonConfiguration.parse(text, path: "test.yaml").volumes[0].images
    #expect(images.stack == .sections && images.dataset == "volumes/raw" && images.intensityRange == -1.5...4095)
  }

  @Test func theExampleIsGood() throws {
    let path = #filePath.replacing("Tests/DaemonTests/ConfigurationTests.swift", with: "config/fgnetd.yaml")
    let configuration = try DaemonConfiguration.load(path: path)
    #expect(configuration.denoise.map(\.name) == ["median", "nlm", "clahe"])
    #expect(configuration.denoise.allSatisfy { !$0.enabled })
  }

  @Test func theExampleNamesEveryOptionThatAModelCanSetWithItsDefault() throws {
    let path = #filePath.replacing("Tests/DaemonTests/ConfigurationTests.swift", with: "config/fgnetd.yaml")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    // Comments of the form `# option: value` are options that were left out.
    let configuration = try DaemonConfiguration.parse(
      text.replacing(/\ {4}# ([a-z_]+: [^ :]+)\n/) { "    \($0.1)\n" }, path: path)
    for (kind, stage) in [
      (StageKind.watershed, configuration.watershed), (.agglomerate, configuration.agglomerate),
    ] {
      let table = try #require(StageRegistry.builtIn.descriptions(of: kind).first { $0.name == stage.name }).options
      #expect(stage.options.keys.sorted() == table.map(\.name).sorted())
      let empty = try StageRegistry.builtIn.settings(kind, named: stage.name, options: [:], model: [:], path: "")
      let shown = try StageRegistry.builtIn.settings(
        kind, named: stage.name, options: stage.options, model: [:], path: stage.path)
      #expect(shown.map(\.value) == empty.map(\.value))
    }
    #expect(FGNetOptions.table.allSatisfy { configuration.affinity.options[$0.name] != nil })
  }

  @Test(arguments: [
    (good: "stages:", bad: "stagse:", expected: "line 5: unknown key stagse (did you mean stages?)"),
    (good: "folder: /data/a", bad: "foldr: /data/a", expected: "unknown key volumes[0].foldr (did you mean folder?)"),
    (good: "name: a", bad: "name: 'a b'", expected: "volumes[0].name may hold letters"),
    (good: "folder: /data/a", bad: "folder: /a\n    voxel_size_nm: [30, 6]", expected: "three sizes in nanometres"),
    (good: "folder: /data/a", bad: "folder: /a\n    stack: pages", expected: "stack must be refuse or sections"),
    (good: "folder: /data/a", bad: "folder: /a\n    intensity_range: [5, 2]", expected: "two numbers, the lower first"),
    (good: "folder: /data/a", bad: "folder: /a\n    intensity_range: 12", expected: "two numbers, the lower first"),
    (good: "folder: /data/a", bad: "folder: /a\n    missing_after: soon", expected: "must be a time"),
    (good: "affinity:", bad: "gap_confidence: 2\n  affinity:", expected: "stages.gap_confidence must be a number"),
    (good: "affinity:", bad: "affinity:\n    enabled: maybe", expected: "must be true or false"),
    (good: "state_directory: /var/lib/fgnetd", bad: "threads: 1", expected: "state_directory is missing"),
  ])
  func eachFaultIsNamed(good part: String, bad: String, expected: String) {
    let found = faults(good.replacing(part, with: bad))
    #expect(found.contains { $0.contains(expected) }, "\(found)")
  }

  @Test func allFaultsAreReportedAtOnce() {
    let found = faults(good.replacing("folder", with: "foldr").replacing("stages", with: "stagse"))
    #expect(found.count >= 3, "\(found)")
  }

  @Test func combinationsThatMakeNoSenseAreRefused() {
    let off = "\n  affinity:\n    enabled: false"
    #expect(
      faults(good.replacing("\n  affinity:\n    model: model.h5", with: off)).contains {
        $0.contains("needs affinities")
      })
    let noWatershed = good + "\n  watershed:\n    enabled: false\n"
    #expect(faults(noWatershed).contains { $0.contains("needs fragments") })
    let twice = good.replacing("stages:", with: "  - name: a\n    folder: /data/b\nstages:")
    #expect(faults(twice).contains { $0.contains("volume a is named twice") })
  }

  @Test(arguments: ["", "- a", "a: [", "\t", "volumes: 3", "a: 1\na: 2", "&x [*x]"])
  func anyTextGivesFaultsAndNoCrash(text: String) {
    #expect(!faults(text).isEmpty)
  }

  @Test func times() {
    #expect(seconds("500ms") == 0.5)
    #expect(seconds("2s") == 2)
    #expect(seconds("10min") == 600)
    #expect(seconds("4h") == 14400)
    #expect(seconds("7") == 7)
    #expect(seconds("-1s") == nil)
    #expect(seconds("x") == nil)
  }
}
