import Foundation
import Testing

@testable import Daemon

@Suite struct ChartTests {
  @Test func ticksAreRoundAndInside() {
    let axis = Chart.Axis([3, 97], .linear, isFromZero: true)
    #expect(axis.ticks == [0, 20, 40, 60, 80])
    #expect(axis.place(0) == 0 && axis.place(97) == 1)
    let log = Chart.Axis([0.004, 30], .log, isFromZero: false)
    #expect(log.ticks == [0.001, 0.01, 0.1, 1, 10, 100])
    #expect(abs(log.place(0.1) - 0.4) < 1e-12)
    for values in [[], [5.0], [0, 0], [.nan, 1]] {
      let axis = Chart.Axis(values, .linear, isFromZero: false)
      #expect(axis.ticks.count <= 12 && axis.ticks.allSatisfy(\.isFinite))
    }
  }

  @Test func textsAreEscapedAndThePictureIsWellFormed() throws {
    let chart = Chart(
      title: "a < b & c", xLabel: "z", yLabel: "n", style: .bars,
      series: [.init(name: "one", points: [(0, 1), (1, 3)]), .init(name: "two", points: [])])
    let svg = Chart.svg([chart, chart])
    #expect(svg.contains("a &lt; b &amp; c") && svg.hasSuffix("</svg>\n"))
    #expect(svg.components(separatedBy: "<rect x=").count == 1 + 2 * 2)
    #expect(svg.components(separatedBy: "<g ").count == svg.components(separatedBy: "</g>").count)
  }

  @Test func longSeriesKeepTheirEnd() {
    let points = (0..<10_001).map { (x: Double($0), y: Double($0)) }
    let thin = Plots.thinned(points)
    #expect(thin.count <= 2100 && thin.last?.y == 10_000 && thin.first?.y == 0)
  }

  @Test func everyPlotOfAVolume() throws {
    let bench = try Bench(size: 64)
    try bench.run([[0, 1, 2].map { try bench.write($0) }])
    try withRecord(bench.configuration) { record in
      let volume = try volumeRow(record, "test")
      #expect(try Plots.progress(record, volume)[0].series.map { $0.points.last?.y } == [3, 3])
      let sizes = try Plots.sizes(record, volume)[0].series[0].points.reduce(0) { $0 + $1.y }
      #expect(try String(Int(sizes)) == bench.query("select count(*) from fgnet.segments"))
      #expect(try Plots.quality(record, volume)[0].series[0].points.count == 3)
    }
  }
}
