import Domain
import Foundation
import Testing

@testable import Plugins

/// Shared objects as stages: the examples, and those that are refused.
@Suite(.serialized) struct ExternalLibraryTests {
  let bench: ExternalBench
  init() throws { bench = try ExternalBench() }

  /// Compiles a library into the bench's folder.
  func compile(_ name: String, _ words: [String]) throws -> String {
    let path = bench.folder + "/" + name
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words + ["-o", path]
    process.currentDirectoryURL = URL(fileURLWithPath: ExternalBench.root)
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(words)")
    return path
  }

  func compileC(_ name: String, _ source: String, warnings: Bool = true) throws -> String {
    let file = bench.folder + "/" + name + ".c"
    try source.write(toFile: file, atomically: true, encoding: .utf8)
    return try compile(name + ".so", ["cc", "-shared", "-fPIC", "-I", "include", "-Wall", "-Wextra", "-Werror", file])
  }

  func stage(_ kind: StageKind, _ path: String, folders: [String]? = nil) throws -> ExternalStage {
    try ExternalStage(
      ExternalSource(
        name: "mine", kind: kind, origin: .library(path: path, folders: folders ?? [bench.folder]), contentHash: "c0de")
    ) { _ in }
  }

  @Test func theExampleInCIsTheMedianOfOurs() throws {
    let path = try compile(
      "median.so",
      ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I", "include", "stages/c/median.c"])
    let registry = ExternalBench.registry(try stage(.denoise, path))
    let denoise = try registry.denoise(named: "mine", options: [:], path: "")
    #expect(denoise.halo == 1 && denoise.fingerprint == "mine/1 sha256=c0de voxel=30.0,6.0,5.0 passes=1")
    let image = ConformanceInput(height: 41, width: 29).image(0)
    #expect(try denoise.filtered(image) == Median(MedianOptions(radius: 1)).filtered(image))
    #expect(try registry.denoise(named: "mine", options: ["passes": .int(3)], path: "").halo == 3)
    #expect(
      registry.faults(.denoise, named: "mine", options: ["passes": .int(9)], path: "stages.denoise[0]") == [
        "stages.denoise[0].passes: is 9, a whole number, but must be a whole number from 1 to 8."
      ])
    // Cancelled, it ends.
    (denoise as? any SupervisedStage)?.cancel()
    #expect(ExternalBench.reason { _ = try denoise.filtered(image) }.contains("it was stopped"))
  }

  @Test func theExampleInSwiftCutsFragments() throws {
    let path = try compile(
      "threshold.so",
      [
        "swiftc", "-O", "-parse-as-library", "-emit-library", "-module-name", "Threshold", "-I", "stages/swift",
        "stages/swift/threshold.swift",
      ])
    let watershed = try ExternalBench.registry(try stage(.watershed, path)).watershed(
      named: "mine", options: ["threshold": .double(0.4)], path: "")
    // Two halves.
    let zero = Plane<UInt8>(height: 4, width: 6, repeating: 0)
    let full = Plane<UInt8>(height: 4, width: 6, repeating: 200)
    var x = full
    for row in 0..<4 { x[row, 3] = 10 }
    let result = try watershed.fragments(of: AffinitySection(z: zero, y: full, x: x))
    #expect(result.count == 2 && result.labels[0, 0] == 1 && result.labels[3, 5] == 2)
  }

  @Test func theStagesOfEveryKindAreCalledWithWhatTheyNeed() throws {
    let affinity = try compileC(
      "affinity",
      Self.library(
        "AFFINITY", reach: "reach->halo = -1; reach->context = 1;",
        run: """
          int32_t fgnet_stage_run_affinity(fgnet_stage *s, const fgnet_affinity_call *c, fgnet_error *e) {
            (void)s; (void)e;
            int64_t n = c->height * c->width;
            for (int64_t i = 0; i < 3 * n; i++) c->affinities[i] = (uint8_t)(c->z[c->index] * 10 + c->count + 100 * c->images[c->index][i % n]);
            return FGNET_OK;
          }
          """))
    let image = Plane<Float>(height: 3, width: 4, repeating: 0.5)
    let stack = (4..<9).map { z in StackSection(z: Int32(z), key: "\(z)") { image } }
    let stage = try ExternalBench.registry(try stage(.affinity, affinity)).affinity(
      named: "mine", options: [:], path: "")
    #expect(try stage.affinities(of: 2, in: stack).z[1, 1] == 6 * 10 + 3 + 50)
    #expect(try stage.affinities(of: 4, in: stack).x[1, 1] == 8 * 10 + 2 + 50)

    let agglomerate = try compileC(
      "agglomerate",
      Self.library(
        "AGGLOMERATE", reach: "reach->look_behind = 1; reach->look_ahead = 0;",
        run: """
          int32_t fgnet_stage_run_agglomerate(fgnet_stage *s, const fgnet_agglomerate_call *c, fgnet_error *e) {
            (void)s; (void)e;
            for (int64_t d = 0; d < c->decisions; d++) {
              int64_t edge = c->edge_start[c->decided_first] + d, first = c->histogram_start[edge];
              c->accepted[d] = c->a[edge] == c->fragments[0];
              c->scores[d] = (float)c->bins[first] / 255;
            }
            return FGNET_OK;
          }
          """))
    let joining = try ExternalBench.registry(try self.stage(.agglomerate, agglomerate)).agglomerate(
      named: "mine", options: [:], path: "")
    let decisions = try joining.decide(1..<2, in: ExternalBench.window)[0]
    #expect(decisions.map(\.accepted) == [true, false, false])
    #expect(decisions.allSatisfy { $0.score == Float(10) / 255 })
  }

  @Test(arguments: [
    ("uint32_t fgnet_stage_abi(void) { return 99; }", "is built for version 99 of fgnet_stage.h, the daemon has 1"),
    ("int nothing;", "has no symbol fgnet_stage_abi"),
    ("uint32_t fgnet_stage_abi(void) { return FGNET_STAGE_ABI; }", "has no symbol fgnet_stage_describe"),
    (
      ExternalLibraryTests.library("WATERSHED", reach: "", run: "int nothing;"),
      "has a stage of the kind watershed, but is configured as denoise"
    ),
    (ExternalLibraryTests.library("DENOISE", reach: "", run: "int nothing;"), "has no symbol fgnet_stage_run_denoise"),
    (
      ExternalLibraryTests.library("DENOISE", reach: "reach->halo = 5000;", run: ExternalLibraryTests.idle),
      "its halo is 5000 pixels"
    ),
    (
      ExternalLibraryTests.library(
        "DENOISE", reach: "snprintf(error->text, error->capacity, \"no model\"); return FGNET_FAILED;",
        run: ExternalLibraryTests.idle),
      "no model"
    ),
    (ExternalLibraryTests.library("DENOISE", reach: "return 17;", run: ExternalLibraryTests.idle), "unknown status 17"),
    (
      ExternalLibraryTests.library("DENOISE", reach: "", run: ExternalLibraryTests.idle).replacing(
        ".size = sizeof(fgnet_description)", with: ".size = 8"),
      "fgnet_description has the size 8"
    ),
  ])
  func whatDoesNotFitIsRefusedWithASentence(source: String, reason: String) throws {
    let path = try compileC(
      "bad",
      "#include <stdio.h>\n#include \"fgnet_stage.h\"\n" + source.replacing("#include \"fgnet_stage.h\"", with: ""))
    let found = ExternalBench.reason {
      _ = try ExternalBench.registry(try stage(.denoise, path)).denoise(
        named: "mine", options: [:], path: "stages.denoise[0]")
    }
    #expect(found.contains(reason) && !found.contains("\n"), "\(found)")
  }

  @Test func answersThatAreNotWhatTheyMustBeAreRefused() throws {
    let path = try compileC(
      "silent", Self.library("DENOISE", reach: "", run: Self.idle.replacing("(void)c;", with: "c->result[2] = -1;")))
    let denoise = try ExternalBench.registry(try stage(.denoise, path)).denoise(named: "mine", options: [:], path: "")
    #expect(
      ExternalBench.reason { _ = try denoise.filtered(ExternalBench.image) }.contains(
        "the value -1.0 at row 0, column 2"))
  }

  @Test func librariesComeFromConfiguredFoldersThatNobodyElseCanWriteTo() throws {
    let path = try compileC("good", Self.library("DENOISE", reach: "", run: Self.idle))
    func reason(_ path: String, _ folders: [String]? = nil) -> String {
      ExternalBench.reason { _ = try stage(.denoise, path, folders: folders) }
    }
    #expect(reason(path).isEmpty)
    #expect(reason(path, []).contains("no stage_folders are configured"))
    let other = bench.folder + "/other"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    #expect(reason(path, [other]).contains("is in none of the stage_folders"))
    #expect(reason(bench.folder + "/none.so").contains("is not there: No such file"))
    // By a link out of the folder, or by a name that begins alike.
    try FileManager.default.createSymbolicLink(atPath: other + "/good.so", withDestinationPath: path)
    #expect(reason(other + "/good.so", [other]).contains("is in none of the stage_folders"))
    #expect(reason(path, [String(bench.folder.dropLast())]).contains("is in none of the stage_folders"))
    chmod(path, 0o775)
    #expect(reason(path).contains("can be written to by its group or by everybody"))
    chmod(path, 0o755)
    chmod(bench.folder, 0o777)
    #expect(reason(path).contains("can be written to by its group or by everybody"))
    chmod(bench.folder, 0o755)
    if geteuid() == 0 {
      chown(path, 12345, 0)
      #expect(reason(path).contains("belongs to the user 12345"))
    }
    let text = bench.folder + "/text.so"
    try "no library".write(toFile: text, atomically: true, encoding: .utf8)
    #expect(reason(text).contains("cannot be loaded"))
  }

  static let idle = """
    int32_t fgnet_stage_run_denoise(fgnet_stage *s, const fgnet_denoise_call *c, fgnet_error *e) {
      (void)s; (void)c; (void)e;
      return FGNET_OK;
    }
    """

  /// A library of a kind.
  static func library(_ kind: String, reach: String, run: String) -> String {
    """
    #include "fgnet_stage.h"
    uint32_t fgnet_stage_abi(void) { return FGNET_STAGE_ABI; }
    static const fgnet_description description = {.size = sizeof(fgnet_description), .kind = FGNET_\(kind), .version = "1", .summary = ""};
    const fgnet_description *fgnet_stage_describe(void) { return &description; }
    int32_t fgnet_stage_create(const fgnet_settings *settings, fgnet_stage **stage, fgnet_reach *reach, fgnet_error *error) {
      (void)settings; (void)reach; (void)error;
      *stage = (fgnet_stage *)&description;
      \(reach)
      return FGNET_OK;
    }
    void fgnet_stage_destroy(fgnet_stage *stage) { (void)stage; }
    \(run)
    """
  }
}
