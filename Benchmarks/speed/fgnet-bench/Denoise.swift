import ArgumentParser
import Domain
import Foundation
import Plugins

/// The denoise stages: best milliseconds for a section of 1024 x 1024 pixels, one line of JSON.
struct Denoise: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The built-in denoise stages on one section.")
  @Option(help: "Rounds at least, and as many as take a second; the best counts.") var rounds = 20

  func run() throws {
    let side = 1024
    var image = Plane<Float>(height: side, width: side, repeating: 0)
    var state: UInt64 = 1
    for index in image.storage.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let wave = 0.5 + 0.3 * sin(Float(index % side) / 9) * cos(Float(index / side) / 13)
      image.storage[index] = min(max(wave + 0.1 * (Float(state >> 40) / Float(1 << 24) - 0.5), 0), 1)
    }
    let stages: [(String, any ImageStage)] = [
      ("median radius 1", try Median(MedianOptions(radius: 1))),
      ("median radius 2", try Median(MedianOptions(radius: 2))),
      ("nlm", try NonLocalMeans()), ("clahe", try Clahe()),
    ]
    var best: [String: Double] = [:]
    for (name, stage) in stages {
      var plane = image
      try stage.filter(&plane)
      var seconds: [Double] = []
      while seconds.count < rounds || seconds.reduce(0, +) < 1 {
        seconds += try timed(1) { _ in try stage.filter(&plane) }
      }
      best[name] = seconds.min().map { $0 * 1000 }
    }
    print(String(decoding: try JSONSerialization.data(withJSONObject: best, options: [.sortedKeys]), as: UTF8.self))
  }
}
