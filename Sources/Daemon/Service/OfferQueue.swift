import Domain

/// Files that wait to be taken in. The first few are being read, or have been; each stays until its row is written.
struct OfferQueue {
  private var offers: [OfferedFile] = []
  /// Of the first offers.
  private var reading: [Work<SectionWork.TakenIn>] = []
  /// Of whoever reads.
  private let life = LifeSign()

  /// The file that has been read for longer than so many seconds.
  func stuck(for seconds: Double) -> String? { life.stuck(for: seconds) }

  var isEmpty: Bool { offers.isEmpty }
  var count: Int { offers.count }
  func count(volume: String) -> Int { offers.count { $0.volume == volume } }

  /// Lower sections come first, so that a stack grows at its end whatever the order of names in the folder. What is being
  /// read keeps its place.
  mutating func add(_ offered: [OfferedFile]) {
    if offered.isEmpty { return }
    let open = (offers.dropFirst(reading.count) + offered).enumerated().sorted {
      ($0.element.z, $0.offset) < ($1.element.z, $1.offset)
    }
    offers = offers.prefix(reading.count) + open.map(\.element)
  }

  /// Whether files are being read, or have been.
  var isReading: Bool { !reading.isEmpty }

  /// Has the first files read, as many as there is room for, and none beside a section that has the memory to itself.
  /// Files of other volumes are dropped.
  mutating func read(for pipelines: [VolumePipeline], by executor: any Executor) {
    if pipelines.contains(where: { $0.goesOneByOne && !$0.making.isEmpty }) { return }
    while reading.count < offers.count, executor.hasRoom(for: .intake) {
      let offer = offers[reading.count]
      guard let pipeline = pipelines.first(where: { $0.name == offer.volume }) else {
        offers.remove(at: reading.count)
        continue
      }
      let known = pipeline.rows[offer.z]?.sha256
      reading.append(
        executor.start(.intake) { [work = pipeline.work, life] in
          life.give(offer.path)
          defer { life.give("") }
          return try work.takeIn(offer, known: known)
        })
    }
  }

  /// The first file, when it has been read.
  var first: (offer: OfferedFile, result: Result<SectionWork.TakenIn, any Error>)? {
    reading.first?.result.map { (offers[0], $0) }
  }

  mutating func removeFirst() {
    offers.removeFirst()
    reading.removeFirst()
  }

  /// Everything that has no row yet is to be read once more.
  mutating func readAgain() { reading = [] }
}
