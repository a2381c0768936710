import CHDF5
import Foundation
import Testing

@testable import FGNetKernel

extension FGNetKernelSuite {
  @Suite struct WeightsTests {
    /// A weights file in a folder of its own, removed with it.
    final class Scratch {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fgnet-\(UUID().uuidString)")
      init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
      deinit { try? FileManager.default.removeItem(at: folder) }
      func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    }

    static func write(_ path: String, attributes: [(String, String)], tensors: [(TensorSpec, [Float])]) {
      let file = chdf5_create_truncating(path)
      defer { H5Fclose(file) }
      let scalar = H5Screate(H5S_SCALAR)
      defer { H5Sclose(scalar) }
      for (name, text) in attributes {
        let type = chdf5_string_type(text.utf8.count + 1)
        let attribute = chdf5_create_attribute(file, name, type, scalar)
        _ = text.withCString { H5Awrite(attribute, type, $0) }
        H5Aclose(attribute)
        H5Tclose(type)
      }
      for (spec, values) in tensors {
        let space = H5Screate_simple(Int32(spec.shape.count), spec.shape.map { hsize_t($0) }, nil)
        let dataset = chdf5_create_floats(file, spec.key, space)
        chdf5_write_floats(dataset, values)
        H5Dclose(dataset)
        H5Sclose(space)
      }
    }

    static func micro() throws -> (json: String, weights: FormulaWeights) {
      let golden = try GoldenFile("micro-3x96x160")
      let architecture = try Architecture(json: golden.architecture, source: "micro")
      return (golden.architecture, FormulaWeights(seed: 1, tensors: architecture.tensors))
    }

    @Test func theFileOfTheTrainingCodeEqualsTheFormula() throws {
      let file = try WeightsFile(path: GoldenFile.path("micro-weights"))
      let formula = FormulaWeights(seed: 1, tensors: file.architecture.tensors)
      #expect(file.inventory == formula.inventory)
      for spec in formula.inventory { #expect(file.values(of: spec) == formula.values(of: spec), "\(spec.key)") }
      #expect(file.card.contains("micro"))
      #expect(file.postprocessing == "{}")
      let stack = StreamingTests.stack(0..<3, 40, 50)
      let loaded = try FGNet(path: GoldenFile.path("micro-weights")).evaluate(index: 1, stack: stack)
      #expect(try loaded == FGNet(architecture: file.architecture, weights: formula).evaluate(index: 1, stack: stack))
    }

    @Test func everyFaultyKeyIsNamedAtOnce() throws {
      let scratch = try Scratch()
      let (json, weights) = try Self.micro()
      var tensors = weights.inventory.map { ($0, weights.values(of: $0)) }
      tensors.removeAll { ["fge.stem.bias", "trunk.pos_embed"].contains($0.0.key) }
      tensors.append((TensorSpec(key: "fga.2.extra", shape: [2]), [1, 2]))
      let place = try #require(tensors.firstIndex { $0.0.key == "fga.2.gamma" })
      tensors[place] = (TensorSpec(key: "fga.2.gamma", shape: [7]), [Float](repeating: 0, count: 7))
      let path = scratch.path("faulty.h5")
      Self.write(path, attributes: [("format", "fgnet-weights-1"), ("architecture", json)], tensors: tensors)
      let expected = KernelError.mismatchedWeights(
        source: path, missing: ["fge.stem.bias", "trunk.pos_embed"], unused: ["fga.2.extra"],
        misshapen: ["fga.2.gamma is [7], expected [6]"])
      #expect(throws: expected) { try FGNet(path: path) }
      #expect(expected.description.contains(path) && !expected.description.contains("\n"))
    }

    @Test func weightsThatAreNoNumbersAreRefused() throws {
      let scratch = try Scratch()
      let (json, weights) = try Self.micro()
      let tensors = weights.inventory.map { spec in
        (spec, spec.key == "coarse.head.bias" ? [Float](repeating: .nan, count: spec.count) : weights.values(of: spec))
      }
      let path = scratch.path("nan.h5")
      Self.write(path, attributes: [("format", "fgnet-weights-1"), ("architecture", json)], tensors: tensors)
      #expect(throws: KernelError.notFinite(what: "coarse.head.bias of \(path)")) { try FGNet(path: path) }
    }

    @Test func unknownFormats() throws {
      let scratch = try Scratch()
      let (json, _) = try Self.micro()
      let path = scratch.path("new.h5")
      let network = "\"fgnet-weights-1\""
      Self.write(path, attributes: [("format", "fgnet-weights-2"), ("architecture", json)], tensors: [])
      #expect(throws: KernelError.unknownFormat(file: path, found: "\"fgnet-weights-2\"", expected: network)) {
        try FGNet(path: path)
      }
      Self.write(path, attributes: [("architecture", json)], tensors: [])
      #expect(throws: KernelError.unknownFormat(file: path, found: "none", expected: network)) { try FGNet(path: path) }
      Self.write(path, attributes: [("format", "fgnet-weights-1")], tensors: [])
      #expect(throws: KernelError.badArchitecture(source: path, reason: "the attribute is missing")) {
        try FGNet(path: path)
      }
    }

    @Test(arguments: [0, 1, 100, 5000, 200_000]) func truncatedFiles(_ bytes: Int) throws {
      let scratch = try Scratch()
      let data = try Data(contentsOf: URL(fileURLWithPath: GoldenFile.path("micro-weights")))
      let path = scratch.path("cut.h5")
      try data.prefix(bytes).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: KernelError.self) { try FGNet(path: path) }
      #expect(error?.description.contains(path) == true && error?.description.contains("\n") == false)
    }

    @Test func missingFiles() {
      let expected = KernelError.unreadableWeights(
        file: "/no/such/file.h5", reason: "missing, truncated, or not an HDF5 file")
      #expect(throws: expected) { try FGNet(path: "/no/such/file.h5") }
    }

    @Test func badArchitectures() throws {
      let (json, _) = try Self.micro()
      for (from, to, hint) in [
        ("\"context_radius\": 5", "\"context_radius\": 4", "context_radius"),
        ("clipped-mean-std", "z-score", "z-score"),
        ("\"alignment\": 32", "\"alignment\": 31", "alignment"),
        ("\"embed_dim\": 8", "\"embed_dim\": \"8\"", "trunk.embed_dim"),
        ("\"num_heads\": 1, ", "", "num_heads"),
        ("\"global_att_blocks\": [3]", "\"global_att_blocks\": [2]", "block 2"),
        ("\"stages\": [1, 1, 2, 1]", "\"stages\": [1, 1, 2]", "stages"),
        ("[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "[[0, 1, 0], [1, 0, 0], [0, 0, 1]]", "offsets"),
        ("\"8\": 12}", "\"9\": 12}", "stride 8"),
      ] {
        let changed = json.replacingOccurrences(of: from, with: to)
        #expect(changed != json)
        let error = #expect(throws: KernelError.self) { try Architecture(json: changed, source: "test") }
        #expect(error?.description.contains(hint) == true, "\(hint): \(error?.description ?? "")")
      }
      #expect(throws: KernelError.badArchitecture(source: "test", reason: "it is not JSON")) {
        try Architecture(json: "{", source: "test")
      }
    }

    /// Each kind of file names the other where it is not what is needed, and itself where it is.
    @Test func formatsAreToldApart() throws {
      let (network, encoder) = (try GoldenFile.path("micro-weights"), try GoldenFile.path("micro-encoder-weights"))
      #expect(try WeightsFormat(path: network) == .network)
      #expect(try WeightsFormat(path: encoder) == .imageEncoder)
      let (one, other) = ("\"fgnet-weights-1\"", "\"fgnet-image-encoder-1\"")
      #expect(throws: KernelError.unknownFormat(file: encoder, found: other, expected: one)) {
        try FGNet(path: encoder)
      }
      #expect(throws: KernelError.unknownFormat(file: network, found: one, expected: other)) {
        try ImageEncoder(path: network)
      }
      let scratch = try Scratch()
      let path = scratch.path("strange.h5")
      Self.write(path, attributes: [("format", "x")], tensors: [])
      #expect(throws: KernelError.unknownFormat(file: path, found: "\"x\"", expected: "\(one) or \(other)")) {
        try WeightsFormat(path: path)
      }
    }

    @Test func everyFaultyKeyOfAnImageEncoderIsNamedAtOnce() throws {
      let scratch = try Scratch()
      let json = try GoldenFile("encoder-tiny-160x160").architecture.replacing(
        "\"embed_dim\": 96", with: "\"embed_dim\": 8")
      let architecture = try ImageEncoderArchitecture(json: json, source: "test")
      let weights = FormulaWeights(seed: 1, tensors: architecture.tensors)
      var tensors = weights.inventory.map { ($0, weights.values(of: $0)) }
      tensors.removeAll { ["neck.convs.2.conv.bias", "trunk.blocks.11.norm1.bias"].contains($0.0.key) }
      tensors.append((TensorSpec(key: "neck.convs.4.conv.bias", shape: [256]), [Float](repeating: 0, count: 256)))
      let place = try #require(tensors.firstIndex { $0.0.key == "neck.convs.0.conv.weight" })
      tensors[place] = (
        TensorSpec(key: "neck.convs.0.conv.weight", shape: [256, 64]), [Float](repeating: 0, count: 256 * 64)
      )
      let path = scratch.path("faulty.h5")
      Self.write(path, attributes: [("format", "fgnet-image-encoder-1"), ("architecture", json)], tensors: tensors)
      let expected = KernelError.mismatchedWeights(
        source: path, missing: ["neck.convs.2.conv.bias", "trunk.blocks.11.norm1.bias"],
        unused: ["neck.convs.4.conv.bias"],
        misshapen: ["neck.convs.0.conv.weight is [256, 64], expected [256, 64, 1, 1]"])
      #expect(throws: expected) { try ImageEncoder(path: path) }
    }

    @Test func badArchitecturesOfImageEncoders() throws {
      let json = try GoldenFile("encoder-tiny-160x160").architecture
      for (from, to, hint) in [
        ("\"d_model\": 256", "\"d_model\": 0", "d_model 0"), ("\"d_model\"", "\"dmodel\"", "no neck.d_model"),
        ("[2, 3]", "[2, 4]", "fpn_top_down_levels"), ("[2, 3]", "[3, 3]", "fpn_top_down_levels"),
        ("\"neck\"", "\"head\"", "no neck"), ("\"q_pool\": 3", "\"q_pool\": 2", "q_pool"),
      ] {
        let changed = json.replacing(from, with: to)
        #expect(changed != json)
        let error = #expect(throws: KernelError.self) { try ImageEncoderArchitecture(json: changed, source: "test") }
        #expect(error?.description.contains(hint) == true, "\(hint): \(error?.description ?? "")")
      }
    }

    @Test func coreTypes() {
      #expect(!OpenBLAS.coreName.isEmpty)
      let recommended = OpenBLAS.recommendedCoreType()
      #expect([nil, "Haswell", "SkylakeX"].contains(recommended))
      if let restart = OpenBLAS.coreTypeToRestartWith() {
        #expect(restart == recommended && restart != OpenBLAS.coreName)
      }
    }
  }
}
