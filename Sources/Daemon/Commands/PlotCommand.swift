import ArgumentParser
import DB
import Domain
import Foundation

/// `fgnetd plot`: how a volume is coming along, as a picture.
struct PlotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plot", abstract: "Draw progress, sizes of segments, or the sections' quality over z, as SVG.")

  enum What: String, ExpressibleByArgument, CaseIterable {
    case progress, sizes, quality
  }

  @OptionGroup var config: ConfigurationOption
  @OptionGroup var volume: VolumeOption
  @Argument(
    help:
      "progress: sections received and segmented over time. sizes: how many segments are how large. quality: intensity, fragments and merges over z."
  )
  var what: What
  @Argument(help: "The SVG file to write.") var output: String

  func run() throws {
    let configuration = try config.load()
    let name = try volume.chosen(configuration)
    let charts = try withRecord(configuration) { record in
      let row = try volumeRow(record, name)
      switch what {
      case .progress: return try Plots.progress(record, row)
      case .sizes: return try Plots.sizes(record, row)
      case .quality: return try Plots.quality(record, row)
      }
    }
    guard charts.contains(where: { $0.series.contains { !$0.points.isEmpty } }) else {
      throw OperatorError("volume \(name) has nothing to draw yet", status: .noInput)
    }
    do {
      try Data(Chart.svg(charts).utf8).write(to: URL(fileURLWithPath: output), options: .atomic)
    } catch {
      throw OperatorError("\(output) cannot be written: \(error.localizedDescription)", status: .cannotCreate)
    }
    print(output)
  }
}

/// The charts of `fgnetd plot`.
enum Plots {
  /// Sections received and segmented over the hours since the first.
  static func progress(_ record: Record, _ volume: VolumeRow) throws -> [Chart] {
    func counted(_ sql: String) throws -> [(x: Double, y: Double)] {
      let rows = try record.connection.execute(sql, [.int(volume.id)])
      return try (0..<rows.count).map { (try rows.double($0, 0) / 3600, Double(try rows.int($0, 1))) }
    }
    // One point for each moment, as many as a picture can show.
    let received = try counted(
      """
      select extract(epoch from received_at - min(received_at) over ()), row_number() over (order by received_at)
      from section where volume_id = $1 and received_at is not null and state <> 'superseded' order by received_at
      """)
    let segmented = try counted(
      """
      select extract(epoch from segmented_at - (select min(received_at) from section where volume_id = $1)),
        row_number() over (order by segmented_at)
      from section where volume_id = $1 and segmented_at is not null and state = 'final' order by segmented_at
      """)
    return [
      Chart(
        title: "\(volume.name): sections", xLabel: "hours since the first section", yLabel: "sections", style: .steps,
        series: [
          .init(name: "received", points: thinned(received)), .init(name: "final", points: thinned(segmented)),
        ])
    ]
  }

  /// How many segments have a volume between two powers of two.
  static func sizes(_ record: Record, _ volume: VolumeRow) throws -> [Chart] {
    let rows = try record.connection.execute(
      """
      select floor(log(2, size_voxels::numeric))::integer as power, count(*) from segments
      where volume = $1 and size_voxels > 0 group by 1 order by 1
      """, [.text(volume.name)])
    let voxel = volume.voxelSize.z * volume.voxelSize.y * volume.voxelSize.x / 1e9
    let points = try (0..<rows.count).map {
      (x: pow(2, Double(try rows.int($0, 0)) + 0.5) * voxel, y: Double(try rows.int($0, 1)))
    }
    return [
      Chart(
        title: "\(volume.name): sizes of segments", xLabel: "volume, cubic micrometres", yLabel: "segments",
        style: .bars,
        xScale: .log, yScale: .log, series: [.init(name: "segments", points: points)])
    ]
  }

  /// What stands out among the sections.
  static func quality(_ record: Record, _ volume: VolumeRow) throws -> [Chart] {
    let rows = try record.connection.execute(
      """
      select z, mean_intensity, std_intensity from section
      where volume_id = $1 and state in ('received', 'provisional', 'final') order by z
      """, [.int(volume.id)])
    var mean: [(x: Double, y: Double)] = []
    var deviation: [(x: Double, y: Double)] = []
    for row in 0..<rows.count {
      let z = Double(try rows.int(row, 0))
      if let value = try rows.optionalDouble(row, 1) { mean.append((z, value)) }
      if let value = try rows.optionalDouble(row, 2) { deviation.append((z, value)) }
    }
    func counted(_ sql: String) throws -> [(x: Double, y: Double)] {
      let rows = try record.connection.execute(sql, [.int(volume.id)])
      return try (0..<rows.count).map { (Double(try rows.int($0, 0)), Double(try rows.int($0, 1))) }
    }
    let fragments = try counted("select z, count(*) from fragment where volume_id = $1 group by z order by z")
    let merges = try counted(
      "select z, count(*) from lineage_event where volume_id = $1 and event = 'merged' group by z order by z")
    return [
      Chart(
        title: "\(volume.name): intensity, 0 to 1", xLabel: "z", yLabel: "intensity",
        series: [.init(name: "mean", points: mean), .init(name: "deviation", points: deviation)]),
      Chart(
        title: "\(volume.name): fragments and merges", xLabel: "z", yLabel: "number",
        series: [.init(name: "fragments", points: fragments), .init(name: "merges", points: merges)]),
    ]
  }

  /// At most 2000 points; the last one stays.
  static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let step = max(1, points.count / 2000)
    var kept = points.enumerated().filter { $0.offset % step == 0 }.map(\.element)
    if let last = points.last, kept.last?.y != last.y { kept.append(last) }
    return kept
  }
}
