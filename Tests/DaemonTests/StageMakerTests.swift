import Domain
import Foundation
import Plugins
import Testing
import Volumes

@testable import Daemon

/// The stages that a configuration, a weights file and a volume's voxel size give together.
@Suite(.serialized) struct StageMakerTests {
  /// A folder with copies of the default model whose `postprocessing` was changed.
  final class Models {
    let folder = NSTemporaryDirectory() + "fgnetd-models-" + UUID().uuidString
    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// The file keeps the attribute as text, which is written over and filled up with spaces.
    func saying(_ postprocessing: String) throws -> String {
      var data = try Data(contentsOf: URL(fileURLWithPath: Bench.model))
      let old = Data(try FGNetModel(path: Bench.model, hash: "").postprocessing.utf8)
      var new = Data(postprocessing.utf8)
      try #require(new.count <= old.count)
      new.append(Data(repeating: UInt8(ascii: " "), count: old.count - new.count))
      while let range = data.range(of: old) { data.replaceSubrange(range, with: new) }
      let path = folder + "/" + UUID().uuidString + ".h5"
      try data.write(to: URL(fileURLWithPath: path))
      return path
    }
  }

  static func configuration(
    model: String = Bench.model, voxelSizes: [String] = ["[30, 6, 6]"], affinity: String = "", stages: String = ""
  ) throws -> DaemonConfiguration {
    let volumes = voxelSizes.enumerated().map {
      "  - {name: v\($0), folder: /data/\($0), voxel_size_nm: \($1)}"
    }
    return try DaemonConfiguration.parse(
      """
      state_directory: /nowhere
      volumes:
      \(volumes.joined(separator: "\n"))
      stages:
        affinity: {model: \(model)\(affinity)}
      \(stages)
      """, path: "test.yaml")
  }

  static func faults(_ configuration: DaemonConfiguration) -> [String] {
    do {
      _ = try StageMaker(configuration).make()
      return []
    } catch let error as ConfigurationError {
      return error.description.split(separator: "\n").map(String.init)
    } catch {
      return ["\(error)"]
    }
  }

  // MARK: Voxel sizes

  @Test func eachVolumeHasStagesForItsOwnVoxels() throws {
    let sets = try StageMaker(
      Self.configuration(voxelSizes: ["[30, 6, 6]", "[50, 6.5, 5.5]", "[25, 3, 3]", "[30, 10, 4]"])
    ).make()
    let scales = sets.map { ($0.affinity as? FGNetAffinityStage)?.scale }
    #expect(scales == [nil, nil, PixelScale(y: 0.5, x: 0.5), PixelScale(y: 10.0 / 6, x: 4.0 / 6)])
    #expect(sets[0].fingerprint == sets[1].fingerprint && !sets[0].fingerprint.contains("rescale"))
    #expect(sets[2].fingerprint.contains("rescale/1 y=0.5 x=0.5"))
    #expect(sets[2].fragmentFingerprint.contains("rescale/1 y=0.5 x=0.5"))
    #expect(sets[0].affinity !== sets[1].affinity)
  }

  @Test func refusalsOfAllVolumesComeAtOnceAndNameTheFile() throws {
    let found = Self.faults(
      try Self.configuration(
        voxelSizes: ["[30, 6, 6]", "[30, 3, 3]", "[10, 10, 10]"], affinity: ", voxel_size_mismatch: refuse"))
    #expect(found.count == 2, "\(found)")
    #expect(found.allSatisfy { $0.hasPrefix("configuration test.yaml, stages.affinity: ") && $0.contains(Bench.model) })
    #expect(found.contains { $0.contains("volume v1 has voxels of 30 x 3 x 3 nm") }, "\(found)")
    #expect(found.contains { $0.contains("volume v2 has voxels of 10 x 10 x 10 nm") }, "\(found)")
    let ignored = try Self.configuration(voxelSizes: ["[10, 30, 1]"], affinity: ", voxel_size_mismatch: ignore")
    #expect(Self.faults(ignored).isEmpty)
    let wrong = try Self.configuration(affinity: ", voxel_size_tolerance: 2, voxel_size_mismatch: perhaps")
    #expect(Self.faults(wrong).count == 2)
  }

  @Test func aVolumeOfFinerPixelsAgreesWithTheModelsOwn() throws {
    let bench = try Bench(size: 256)
    let sections = try (SectionNumber(0)..<4).map { z in
      let image = try bench.volume.section(z).image
      return Plane<Float>(
        height: image.height, width: image.width, storage: image.storage.map { Float($0) / 255 })
    }
    func affinities(_ voxelSize: String, _ images: [Plane<Float>]) throws -> AffinitySection {
      let stages = try StageMaker(Self.configuration(voxelSizes: [voxelSize])).make()[0]
      let stack = images.enumerated().map { z, image in
        StackSection(z: SectionNumber(z), key: "\(voxelSize) \(z)") { image }
      }
      return try #require(stages.affinity).affinities(of: 2, in: stack)
    }
    let own = try affinities("[30, 6, 6]", sections)
    #expect(try affinities("[30, 6.5, 5.5]", sections) == own)
    let finer = try affinities("[30, 3, 3]", sections.map(Self.doubled))
    #expect(finer.height == 512 && finer.width == 512)
    for (channel, fine, coarse) in [("z", finer.z, own.z), ("y", finer.y, own.y), ("x", finer.x, own.x)] {
      var (sum, apart, shifted) = (0, 0, 0)
      for y in 1..<255 {
        for x in 1..<255 {
          // The borders of a coarse pixel are those of its first fine one.
          let (v, u) = (2 * y, 2 * x)
          let expected = Int(coarse[y, x])
          let mean = (Int(fine[v, u]) + Int(fine[v, u + 1]) + Int(fine[v + 1, u]) + Int(fine[v + 1, u + 1])) / 4
          let value =
            switch channel {
            case "y": (Int(fine[v, u]) + Int(fine[v, u + 1])) / 2
            case "x": (Int(fine[v, u]) + Int(fine[v + 1, u])) / 2
            default: mean
            }
          sum += abs(value - expected)
          if (value < 128) != (expected < 128) { apart += 1 }
          shifted += abs(value - Int(coarse[y + 1, x + 1]))
        }
      }
      let pixels = 254 * 254
      #expect(sum < pixels * 6, "\(channel): \(Double(sum) / Double(pixels)) of 255 apart on average")
      #expect(apart < pixels / 33, "\(channel): \(apart) of \(pixels) on the other side of one half")
      #expect(sum * 2 < shifted, "\(channel): no nearer than to the next pixel")
    }
  }

  static func doubled(_ image: Plane<Float>) -> Plane<Float> {
    var out = Plane<Float>(height: 2 * image.height, width: 2 * image.width, repeating: 0)
    for y in 0..<out.height { for x in 0..<out.width { out[y, x] = image[y / 2, x / 2] } }
    return out
  }

  @Test func thePipelineWorksOnRescaledSections() throws {
    let bench = try Bench(size: 160)
    bench.configuration.volumes[0].voxelSize = (30, 4, 10)
    try bench.run([(0..<5).map { try bench.write($0) }])
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "5")
    #expect(Int(try bench.query("select count(*)::text from fgnet.fragment")) ?? 0 > 5)
    let fingerprint = try bench.query("select fingerprint from fgnet.run order by run_id desc limit 1")
    #expect(fingerprint.contains("rescale/1 y=0.6666666666666666 x=1.6666666666666667"), "\(fingerprint)")
    #expect(fingerprint.contains("windowed/2 scoring=") && fingerprint.contains("seeded/1 threshold="))
    let store = SectionStore(directory: bench.configuration.stateDirectory + "/sections/test")
    let file = try bench.query("select file from fgnet.section where z = 2")
    let product = try store.read(file, parts: [.affinities, .fragments])
    #expect(product.affinities?.height == 160 && product.affinities?.width == 160)
    #expect(product.fragments?.labels.height == 160)
  }

  // MARK: Options

  @Test func anOptionIsTheConfigurationsOrTheModelsOrTheTables() throws {
    let models = try Models()
    let model = try models.saying(
      #"{"watershed": {"name": "seeded", "threshold": 0.4}, "agglomerate": {"name": "windowed", "quantile": 65, "threshold": 0.5}}"#
    )
    let maker = StageMaker(try Self.configuration(model: model, stages: "  agglomerate: {quantile: 80}"))
    let set = try #require(try maker.make().first)
    #expect(set.watershed?.fingerprint.contains("threshold=0.4 seed_distance=2 ") == true)
    #expect(set.agglomerate?.fingerprint.contains("quantile=80 init_with_max=true threshold=0.5 ") == true)
    let report = try maker.report()
    for line in [
      "affinity fgnet", "  voxel_size_tolerance: 0.15 (default)", "  model: \"\(model)\" (configuration)",
      "watershed seeded", "  threshold: 0.4 (model)", "  seed_smoothing: 0.0 (default)",
      "  quantile: 80 (configuration)", "  threshold: 0.5 (model)", "  dust_size: 0 (default)",
      "volume v0: voxels of 30 x 6 x 6 nm, the network's of 30 x 6 x 6 nm: sections go in as they are",
    ] {
      #expect(report.contains(line), "\(line) is not in \(report)")
    }
  }

  @Test func theModelsOptionsAreForTheStageThatTheyName() throws {
    let models = try Models()
    let maker = StageMaker(
      try Self.configuration(
        model: models.saying(#"{"watershed": {"name": "future", "threshold": 9.9, "depth": 3}}"#)))
    #expect(try maker.make()[0].watershed?.fingerprint == SeededWatershedOptions().fingerprint)
    #expect(try maker.report().contains("  the model's options are for future and are not used"))
  }

  @Test func faultsOfTheWeightsFileAreToldWithTheConfigurations() throws {
    let models = try Models()
    let model = try models.saying(
      #"{"watershed": {"name": "seeded", "size": 3}, "agglomerate": {"name": "windowed", "threshold": 5.5}}"#)
    let found = Self.faults(try Self.configuration(model: model, stages: "  watershed: {seed_distance: -1}"))
    #expect(found.count == 3, "\(found)")
    for text in [
      "weights file \(model), postprocessing.watershed.size: there is no such option",
      "weights file \(model), postprocessing.agglomerate.threshold: is 5.5", "stages.watershed.seed_distance: is -1",
    ] {
      #expect(found.contains { $0.contains(text) }, "\(text) is not in \(found)")
    }
    let old = try models.saying(#"{"agglomeration": {"statistic": "mean", "threshold": 0.5}}"#)
    let section = Self.faults(try Self.configuration(model: old))
    #expect(section.count == 1 && section[0].contains("there is no section agglomeration"), "\(section)")
  }

  @Test func theModelsFaultsAreToldOnceWhereNothingElseIsWrong() throws {
    let models = try Models()
    let model = try models.saying(#"{"agglomerate": {"name": "windowed", "threshold": 5.5}}"#)
    let overruled = try Self.configuration(
      model: model, voxelSizes: ["[30, 6, 6]", "[30, 6, 6]"], stages: "  agglomerate: {threshold: 0.5}")
    #expect(Self.faults(overruled).count == 1)
  }
}
