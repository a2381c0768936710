import ArgumentParser
import Domain
import Foundation
import Simulator
import Volumes

/// `fgnetd simulate`: sections with known labels.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Write simulated sections of neuropil with known labels, as a microscope would.",
    discussion: """
      FOLDER/image/NNNN.png are the sections, FOLDER/labels/NNNN.png the labels (16 bit, 0 on membranes). The same seed gives the \
      same sections. Each file is written under a hidden name and renamed when it is whole.
      """)

  @Argument(help: "The folder to write to.") var folder: String
  @Option(help: "How many sections.") var sections = 20
  @Option(help: "The first section's number.") var firstZ: Int32 = 0
  @Option(help: "Rows and columns of a section.") var size = 512
  @Option(help: "Another seed is another piece of tissue.") var seed: UInt64 = 7
  @Option(help: "Seconds between the beginnings of two sections; 0 is as fast as it goes.") var interval = 0.0
  @Option(help: "Noise of the detector; 1 is a good microscope's.") var noise = 1.0
  @Option(help: "Share of sections with a fault (missing, blurred, dark, shifted, folded, cracked in equal parts).")
  var faults = 0.0
  @Flag(help: "16-bit images.") var deep = false
  @Flag(help: "TIFF instead of PNG for the images.") var tiff = false
  @Flag(help: "Images only.") var noLabels = false

  func validate() throws {
    guard sections >= 1, sections <= 100_000 else { throw ValidationError("--sections must be 1 to 100000.") }
    guard interval >= 0, interval <= 86_400 else { throw ValidationError("--interval must be 0 to 86400 seconds.") }
    guard (0...1).contains(faults) else { throw ValidationError("--faults must be 0 to 1.") }
    guard FragmentID.sectionNumbers.contains(firstZ),
      Int(firstZ) + sections <= Int(FragmentID.sectionNumbers.upperBound)
    else { throw ValidationError("--first-z is out of range.") }
  }

  func run() throws {
    let rate = faults / 6
    var options = SimulationOptions()
    options.seed = seed
    options.height = size
    options.width = size
    options.noise = noise
    options.faultRates = SimulationFaultRates(
      missing: rate, blurred: rate, dark: rate, shifted: rate, folded: rate, cracked: rate)
    let volume: SimulatedVolume
    do { volume = try SimulatedVolume(options) } catch { throw OperatorError("\(error)", status: .usage) }
    try makeFolder("image")
    if !noLabels { try makeFolder("labels") }
    let clock = ContinuousClock()
    var next = clock.now
    for z in firstZ..<firstZ + Int32(sections) {
      let section: SimulatedSection
      do { section = try volume.section(z) } catch { throw OperatorError("\(error)", status: .usage) }
      next += .seconds(interval)
      try write(section)
      if interval > 0 { Thread.sleep(until: Date(timeIntervalSinceNow: Self.seconds(next - clock.now))) }
    }
  }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  private func makeFolder(_ name: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
    } catch {
      throw OperatorError("the folder \(folder)/\(name) cannot be made; choose another", status: .cannotCreate)
    }
  }

  private func write(_ section: SimulatedSection) throws {
    let name = String(format: "%04d", section.z)
    if !noLabels {
      let labels = section.labels
      let plane = Plane(
        height: labels.height, width: labels.width, storage: labels.storage.map { UInt16(truncatingIfNeeded: $0) })
      try PNGWriter.write(gray: plane, to: "\(folder)/labels/\(name).png")
    }
    guard section.fault != .missing else { return }
    let path = "\(folder)/image/\(name).\(tiff ? "tif" : "png")"
    switch (tiff, deep) {
    case (false, false): try PNGWriter.write(gray: section.image, to: path)
    case (false, true): try PNGWriter.write(gray: section.image16, to: path)
    case (true, false): try TIFFWriter.write(section.image, to: path)
    case (true, true): try TIFFWriter.write(section.image16, to: path)
    }
  }
}
