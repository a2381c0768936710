import Foundation
import Testing

@testable import Daemon

/// `fgnetd model` as an operator runs it.
@Suite struct ModelCommandTests {
  static let encoder = Bench.root + "Tests/FGNetKernelTests/Golden/micro-encoder-weights.h5"

  func run(_ arguments: String...) throws -> (status: Int32?, lines: [String], errors: String) {
    let program = try ProgramTests.Program(["model"] + arguments)
    // Read while it runs: the keys of a large encoder are more than a pipe holds.
    let texts = program.texts()
    return (program.status(within: 60), texts.output.split(separator: "\n").map(String.init), texts.errors)
  }

  @Test func infoOfANetwork() throws {
    let (status, lines, errors) = try run("info", Bench.model)
    #expect(status == 0, "\(errors)")
    #expect(lines.contains("holds       network"))
    #expect(lines.contains("trunk       embed_dim 32, stages [1, 2, 4, 1]"))
    #expect(lines.contains { $0.hasPrefix("defaults    {") })
  }

  @Test func infoOfAnImageEncoder() throws {
    let (status, lines, errors) = try run("info", Self.encoder)
    #expect(status == 0, "\(errors)")
    #expect(lines.contains("holds       image encoder, none of SAM2's sizes"))
    #expect(lines.contains("neck        d_model 256, top-down levels [2, 3]"))
    #expect(lines.contains { $0.hasPrefix("tensors     78, ") })
    #expect(lines.contains { $0.hasPrefix("card        {") && $0.contains("micro") })
  }

  @Test func aDamagedFileIsNamedInOneLine() throws {
    let cut = NSTemporaryDirectory() + "fgnetd-test-" + UUID().uuidString + ".h5"
    defer { try? FileManager.default.removeItem(atPath: cut) }
    for path in [Bench.model, Self.encoder] {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      try data.prefix(data.count / 2).write(to: URL(fileURLWithPath: cut))
      let (status, lines, errors) = try run("info", cut)
      #expect(status == 65 && lines.isEmpty)
      #expect(errors.contains(cut) && errors.split(separator: "\n").count == 1, "\(errors)")
    }
  }

  @Test func keys() throws {
    let (status, lines, errors) = try run("keys", "large")
    #expect(status == 0, "\(errors)")
    #expect(lines.count == 594 && lines == lines.sorted())
    #expect(lines.contains("image_encoder.neck.convs.0.conv.weight\t[256, 1152, 1, 1]"))
    #expect(lines.contains("image_encoder.trunk.pos_embed\t[1, 144, 7, 7]"))
    #expect(lines.contains("image_encoder.trunk.blocks.44.attn.qkv.weight\t[3456, 576]"))
    let (wrong, _, reason) = try run("keys", "huge")
    #expect(wrong == 64 && reason.contains("tiny, small, base_plus, large"))
  }
}
