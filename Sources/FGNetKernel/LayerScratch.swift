import Glibc

/// Layers of tiles on disk, for as long as a later section can need them, so that none is evaluated twice though they do
/// not fit the memory. What does not fit the file either is evaluated anew.
///
/// The file has no name: its room is free again when the program ends, however it ends.
final class LayerScratch {
  /// A layer of a tile.
  private struct Key: Hashable {
    var core: PixelWindow
    var layer: LayerMemo.Key
  }

  private struct Map {
    var offset: Int
    var height: Int
    var width: Int
    var channels: Int
    var bytes: Int { height * width * channels * MemoryLayout<Float>.stride }
  }

  private struct Record {
    var maps: [Map]
    var height: Int
    var width: Int
    /// The evaluation of a section that last needed it.
    var used: Int
  }

  let directory: String
  private let limit: Int
  private let descriptor: Int32
  private var records: [Key: Record] = [:]
  /// Room that was used before, by its size. Tiles have few sizes.
  private var free: [Int: [Int]] = [:]
  private var end = 0
  private var evaluations = 0
  private var plan: TilePlan?

  /// - Parameter limit: bytes of the file at most.
  /// - Throws: `scratch`.
  init(directory: String, limit: Int) throws(KernelError) {
    let path = directory + "/.layers-\(getpid()).tmp"
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .scratch(directory: directory, reason: String(cString: strerror(errno))) }
    unlink(path)
    self.directory = directory
    self.limit = limit
  }

  deinit { close(descriptor) }

  /// Bytes of the file.
  var bytes: Int { end }
  var count: Int { records.count }

  /// To be called before the tiles of a section are evaluated. Records of other tiles go.
  func begin(_ plan: TilePlan) {
    evaluations += 1
    if plan == self.plan { return }
    self.plan = plan
    records = [:]
    free = [:]
    end = 0
    ftruncate(descriptor, 0)
  }

  /// The layers of one tile.
  struct Tile {
    fileprivate let file: LayerScratch
    fileprivate let core: PixelWindow

    private func key(_ layer: LayerMemo.Key) -> Key { Key(core: core, layer: layer) }
    func contains(_ layer: LayerMemo.Key) -> Bool { file.records[key(layer)] != nil }
    func read(_ layer: LayerMemo.Key) throws(KernelError) -> LayerMemo.Value { try file.read(key(layer)) }
    func write(_ value: LayerMemo.Value, for layer: LayerMemo.Key) { file.write(value, for: key(layer)) }

    /// Notes that the evaluation at hand needs these: no room is made of them.
    func touch(_ layers: some Sequence<LayerMemo.Key>) {
      for layer in layers { file.records[key(layer)]?.used = file.evaluations }
    }

    /// Drops layers of these sections that no later section needs.
    func trim(needed: Set<LayerMemo.Key>, sections: Set<String>) { file.trim(core, needed, sections) }
  }

  func tile(_ core: PixelWindow) -> Tile { Tile(file: self, core: core) }

  /// Keeps a layer if there is room. A disk that is full is no room.
  private func write(_ value: LayerMemo.Value, for key: Key) {
    guard records[key] == nil else { return }
    var maps: [Map] = []
    for tensor in value.maps {
      guard let offset = room(tensor.bytes) else { return release(maps) }
      maps.append(Map(offset: offset, height: tensor.height, width: tensor.width, channels: tensor.channels))
      let isWritten = withExtendedLifetime(tensor) {
        transfer(tensor.bytes) { pwrite(descriptor, tensor.data.advanced(by: $0 / 4), $1, offset + $0) }
      }
      guard isWritten else { return release(maps) }
    }
    records[key] = Record(maps: maps, height: value.height, width: value.width, used: evaluations)
  }

  /// - Throws: `scratch` when the disk fails; `outOfMemory`.
  /// - Precondition: the layer is there.
  private func read(_ key: Key) throws(KernelError) -> LayerMemo.Value {
    guard let record = records[key] else { preconditionFailure("\(key.layer.layer) is not in the scratch file") }
    var maps: [Tensor] = []
    for map in record.maps {
      let tensor = try Tensor(map.height, map.width, map.channels)
      let isRead = withExtendedLifetime(tensor) {
        transfer(tensor.bytes) { pread(descriptor, tensor.data.advanced(by: $0 / 4), $1, map.offset + $0) }
      }
      guard isRead else { throw .scratch(directory: directory, reason: String(cString: strerror(errno))) }
      maps.append(tensor)
    }
    return LayerMemo.Value(maps: maps, height: record.height, width: record.width)
  }

  private func trim(_ core: PixelWindow, _ needed: Set<LayerMemo.Key>, _ sections: Set<String>) {
    for (key, record) in records where key.core == core {
      if needed.contains(key.layer) {
        records[key]?.used = evaluations
      } else if sections.contains(key.layer.section) {
        release(record.maps)
        records[key] = nil
      }
    }
  }

  /// A place for so many bytes; nil when there is none even without what the last few sections did not need.
  private func room(_ bytes: Int) -> Int? {
    let size = Self.rounded(bytes)
    if let place = free[size]?.popLast() { return place }
    if end + size > limit {
      for (key, record) in records where record.used < evaluations - 2 {
        release(record.maps)
        records[key] = nil
      }
      if let place = free[size]?.popLast() { return place }
      guard end + size <= limit else { return nil }
    }
    end += size
    return end - size
  }

  private func release(_ maps: [Map]) {
    for map in maps { free[Self.rounded(map.bytes), default: []].append(map.offset) }
  }

  private static func rounded(_ bytes: Int) -> Int { (bytes + 4095) / 4096 * 4096 }

  /// - Parameter step: is given the bytes done and the bytes left; gives what a system call does.
  private func transfer(_ count: Int, _ step: (Int, Int) -> Int) -> Bool {
    var done = 0
    while done < count {
      let now = step(done, count - done)
      if now < 0 && errno == EINTR { continue }
      if now <= 0 { return false }
      done += now
    }
    return true
  }
}
