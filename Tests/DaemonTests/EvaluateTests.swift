import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// `fgnetd evaluate` on label files, without a database.
@Suite struct EvaluateTests {
  /// Three sections, 40 x 60: objects 1 (left), 2 (right), 3 (below), walls of 0 between. Found: 1 and 2 are one segment
  /// from section 1 on, 3 is cut at x = 30.
  private struct Case {
    let folder: ScratchFolder
    let truth: String
    let found: String

    init() throws {
      folder = try ScratchFolder()
      var truths: [Plane<UInt16>] = []
      var founds: [Plane<UInt16>] = []
      for z in 0..<3 {
        var truth = Plane<UInt16>(height: 40, width: 60, repeating: 0)
        var found = truth
        for y in 0..<40 {
          for x in 0..<60 {
            truth[y, x] = y == 20 || (y < 20 && x == 25) ? 0 : y > 20 ? 3 : x < 25 ? 1 : 2
            found[y, x] = y >= 20 ? (x < 30 ? 30 : 31) : x < 25 || z > 0 ? 10 : 20
          }
        }
        truths.append(truth)
        founds.append(found)
      }
      truth = try folder.planes("truth", truths)
      found = try folder.planes("found", founds)
    }
  }

  private func report(_ arguments: [String]) throws -> [String: Any] {
    let made = try EvaluateCommand.parse(arguments).report()
    let object = try JSONSerialization.jsonObject(with: Data(made.json().utf8))
    return try #require(object as? [String: Any])
  }

  private func number(_ report: [String: Any], _ key: String) throws -> Double {
    try #require(report[key] as? NSNumber, "\(key)").doubleValue
  }

  @Test func scoresSayWhatWasScored() throws {
    let files = try Case()
    let report = try report(["--segmentation", files.found, files.truth])
    #expect(try number(report, "labelledPixels") == 7200)
    #expect(try number(report, "scoredPixels") == 7200 - 3 * 80)
    #expect(report["ignoredLabels"] as? [Int] == [0])
    #expect(report["borderMask"] == nil && report["cremiScore"] == nil)
    let text = try EvaluateCommand.parse(["--segmentation", files.found, files.truth]).report().text
    #expect(text.contains("3 sections (z 0 to 2), 6960 of 7200 pixels scored; true label 0 ignored, no border mask"))
    let all = try EvaluateCommand.parse(["--segmentation", files.found, "--ignore", "none", files.truth]).report().text
    #expect(all.contains("7200 of 7200 pixels scored; no true label ignored"))
  }

  @Test func curvesEndAtTheWholeScore() throws {
    let files = try Case()
    let csv = files.folder.path + "/curves.csv"
    let report = try report(["--segmentation", files.found, "--curves", csv, files.truth])
    let curves = try #require(report["curves"] as? [[String: Any]])
    #expect(curves.count == 3)
    #expect(try number(curves[0], "sectionVoiMerge") == 0)
    #expect(try number(curves[1], "sectionVoiMerge") > 0.1)
    #expect(try abs(number(curves[2], "stackVoiMerge") - number(report, "voiMerge")) < 1e-9)
    #expect(try abs(number(curves[2], "stackAdaptedRandError") - number(report, "adaptedRandError")) < 1e-9)
    let lines = try String(contentsOfFile: csv, encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 4 && lines[0].hasPrefix("z,section_voi_split,") && lines[3].hasPrefix("2,"))
    #expect(lines.allSatisfy { $0.split(separator: ",").count == 8 })
  }

  @Test func theBorderMaskTakesPixelsOutAndIsSaid() throws {
    let files = try Case()
    let arguments = ["--segmentation", files.found, "--cremi", "--border-nm", "25", "--pixel-nm", "10", files.truth]
    let report = try report(arguments)
    #expect(try number(report, "scoredPixels") < 6960 - 500)
    #expect((report["borderMask"] as? [String: Any])?["nm"] as? Double == 25)
    #expect(try number(report, "cremiScore") > 0)
    let text = try EvaluateCommand.parse(arguments).report().text
    #expect(text.contains("true label 0 ignored, border mask 25 nm (pixels of 10 x 10 nm)"), "\(text)")
    #expect(text.contains("CREMI's score"))
    #expect(throws: OperatorError.self) {
      try EvaluateCommand.parse(["--segmentation", files.found, "--border-nm", "25", files.truth]).report()
    }
    // Masked pixels are not scored even where 0 is.
    let zero = try self.report(arguments + ["--ignore", "none"])
    #expect(try number(zero, "scoredPixels") == number(report, "scoredPixels"))
  }

  @Test func theWorstErrorsAreListedWithTheirPlaces() throws {
    let files = try Case()
    let pictures = files.folder.path + "/pictures"
    let report = try report(
      ["--segmentation", files.found, "--worst", "5", "--voxel-nm", "30,6,6", "--pictures", pictures, files.truth])
    let worst = try #require(report["worst"] as? [[String: Any]])
    #expect(worst.map { $0["kind"] as? String } == ["merge", "split", "split"])
    let merge = worst[0]
    #expect(try number(merge, "label") == 10)
    #expect(try abs(number(merge, "bits") - number(report, "voiMerge")) < 1e-9)
    // Object 1 has 25 columns in all sections, object 2 its 34 columns in two.
    let parts = try #require(merge["parts"] as? [[String: Int]])
    #expect(parts == [["label": 1, "voxels": 1500], ["label": 2, "voxels": 1360]])
    #expect(try ["z", "y", "x", "firstZ", "lastZ"].map { try number(merge, $0) } == [1, 9, 25, 0, 2])
    #expect(try number(merge, "distanceNm") == 12)
    #expect(try number(worst[1], "label") == 3)
    #expect(try number(worst[1], "x") == 29)
    let names = try FileManager.default.contentsOfDirectory(atPath: pictures).sorted()
    #expect(names == ["merge-001-10.png", "split-001-3.png", "split-002-2.png"])
    let text = try EvaluateCommand.parse(
      ["--segmentation", files.found, "--worst", "1", "--voxel-nm", "30,6,6", files.truth]
    ).report().text
    #expect(text.contains("look at z 1, y 9, x 25: the two largest parts are 12 nm apart"), "\(text)")
  }

  @Test func picturesShowTheImagesThatAreGiven() throws {
    let files = try Case()
    let images = try files.folder.planes(
      "image",
      (0..<3).map { z in Plane(height: 40, width: 60, storage: (0..<2400).map { UInt16($0 * 27 % 65_536 + z) }) })
    let worst = ["--segmentation", files.found, "--worst", "1", "--voxel-nm", "30,6,6", files.truth, "--pictures"]
    let (bare, grey) = (files.folder.path + "/bare", files.folder.path + "/grey")
    _ = try EvaluateCommand.parse(worst + [bare]).report()
    _ = try EvaluateCommand.parse(worst + [grey, "--image", images]).report()
    for name in ["merge-001-10.png", "split-001-3.png"] {
      let (one, other) = (
        try Data(contentsOf: URL(fileURLWithPath: bare + "/" + name)),
        try Data(contentsOf: URL(fileURLWithPath: grey + "/" + name))
      )
      #expect(one != other)
    }
    let short = try files.folder.planes("short", [Plane(height: 40, width: 60, repeating: 9)])
    #expect(throws: OperatorError.self) { try EvaluateCommand.parse(worst + [grey, "--image", short]).report() }
  }

  @Test func runLengthWithAndWithoutLabels() throws {
    let files = try Case()
    let skeletons = try files.folder.write(
      """
      skeleton,node,parent,z_nm,y_nm,x_nm
      one,1,-1,0,60,60
      one,2,1,30,60,60
      three,1,-1,0,180,60
      three,2,1,0,180,120
      three,3,2,0,180,340
      three,4,3,0,180,370
      """, "skeletons.csv")
    let arguments = ["--segmentation", files.found, "--skeletons", skeletons, "--voxel-nm", "30,6,6"]
    let report = try report(arguments)
    #expect(report["voi"] == nil)
    let run = try #require(report["runLength"] as? [String: Any])
    #expect(run["correctEdges"] as? Int == 2 && run["splitEdges"] as? Int == 1)
    #expect(run["outsideNodes"] as? Int == 1 && run["outsideEdges"] as? Int == 1)
    // Runs of 30 and 60 nm; 310 nm are judged.
    #expect(try abs(number(run, "expectedNm") - 14.516129) < 1e-6)
    let both = try EvaluateCommand.parse(arguments + [files.truth]).report().text
    #expect(both.contains("VOI ") && both.contains("1 nodes lie outside the sections"), "\(both)")
  }

  @Test func sectionNumbersAreMatched() throws {
    let files = try Case()
    let later = try report(["--segmentation", files.found, "--first-z", "1", files.truth])
    #expect(later["sections"] as? Int == 2 && later["firstZ"] as? Int == 1)
    let moved = ["--segmentation", files.found, "--segmentation-first-z", "100", files.truth]
    #expect(try report(moved)["firstZ"] as? Int == 100)
    #expect(throws: OperatorError.self) {
      try EvaluateCommand.parse(["--segmentation", files.found, "--first-z", "7", files.truth]).report()
    }
  }

  @Test(arguments: [
    [], ["--worst", "3", "--skeletons", "x"], ["--pictures", "x", "labels"], ["--ignore", "0,x", "labels"],
    ["--border-nm", "-1", "labels"], ["--voxel-nm", "30,6", "labels"], ["--pixel-nm", "0", "labels"],
    ["--image", "x", "labels"], ["--worst", "0", "labels"], ["--merge-tolerance", "-1", "labels"],
  ])
  func mistakesAreRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try EvaluateCommand.parse(arguments) }
  }
}
