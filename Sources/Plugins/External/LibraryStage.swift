import CStage
import Domain
import Foundation

/// A stage made by a shared object.
///
/// Unchecked: the stage is used under `lock`; the flag is one aligned word that only ever becomes 1.
final class LibraryStage: ExternalRunner, @unchecked Sendable {
  let reach: ExternalReach
  private let name: String
  private let library: StageLibrary
  private let stage: OpaquePointer
  private let cancelFlag: UnsafeMutablePointer<Int32>
  private let lock = NSLock()

  /// - Parameter options: checked against the description, in its order.
  init(
    _ source: ExternalSource, _ library: StageLibrary, options: [(String, OptionValue)], volume: ExternalVolume
  ) throws(StageError) {
    name = source.name
    self.library = library
    let made: (stage: OpaquePointer, reach: ExternalReach)
    do throws(CommandFault) {
      made = try Self.create(library, options, volume)
    } catch {
      throw StageError(stage: source.name, reason: error.reason, isOutage: true)
    }
    stage = made.stage
    reach = made.reach
    cancelFlag = .allocate(capacity: 1)
    cancelFlag.initialize(to: 0)
  }

  deinit {
    library.destroy(stage)
    cancelFlag.deallocate()
  }

  /// A library works on the caller's thread: nothing can be told meanwhile.
  func whileWaiting(_ goesOn: @escaping @Sendable () -> Bool) {}

  func cancel() { cancelFlag.pointee = 1 }

  func answer(_ call: ExternalCall) throws(StageError) -> ExternalAnswer {
    lock.lock()
    defer { lock.unlock() }
    do throws(CommandFault) {
      guard cancelFlag.pointee == 0 else { throw CommandFault("it was stopped") }
      switch call {
      case .denoise(let image): return .image(try denoise(image))
      case .affinity(let images, let z, let index): return .affinities(try affinities(images, z, index))
      case .watershed(let map): return .labels(try labels(map))
      case .agglomerate(let window): return try decide(window)
      }
    } catch {
      throw StageError(stage: name, reason: error.reason)
    }
  }

  // MARK: The four calls

  private func denoise(_ image: Plane<Float>) throws(CommandFault) -> [Float] {
    let run = unsafeBitCast(library.run, to: fgnet_run_denoise_function.self)
    var result = [Float](repeating: 0, count: image.storage.count)
    try called { error in
      image.storage.withUnsafeBufferPointer { source in
        result.withUnsafeMutableBufferPointer { target in
          var call = fgnet_denoise_call(
            size: Self.size(of: fgnet_denoise_call.self), cancel: UnsafePointer(cancelFlag),
            height: Int64(image.height),
            width: Int64(image.width), image: source.baseAddress, result: target.baseAddress)
          return run(stage, &call, error)
        }
      }
    }
    return result
  }

  private func affinities(
    _ images: [Plane<Float>], _ z: [SectionNumber], _ index: Int
  ) throws(CommandFault) -> [UInt8] {
    let run = unsafeBitCast(library.run, to: fgnet_run_affinity_function.self)
    let held = HeldArrays()
    let (height, width) = (images[index].height, images[index].width)
    var result = [UInt8](repeating: 0, count: 3 * height * width)
    try called { error in
      Self.withPointers(images[...]) { planes in
        result.withUnsafeMutableBufferPointer { target in
          var call = fgnet_affinity_call(
            size: Self.size(of: fgnet_affinity_call.self), cancel: UnsafePointer(cancelFlag), height: Int64(height),
            width: Int64(width), count: Int64(images.count), index: Int64(index), z: held.copy(z), images: planes,
            affinities: target.baseAddress)
          return withExtendedLifetime(held) { run(stage, &call, error) }
        }
      }
    }
    return result
  }

  private func labels(_ map: AffinitySection) throws(CommandFault) -> [UInt32] {
    let run = unsafeBitCast(library.run, to: fgnet_run_watershed_function.self)
    let held = HeldArrays()
    let planes = map.z.storage + map.y.storage + map.x.storage
    var result = [UInt32](repeating: 0, count: map.height * map.width)
    try called { error in
      result.withUnsafeMutableBufferPointer { target in
        var call = fgnet_watershed_call(
          size: Self.size(of: fgnet_watershed_call.self), cancel: UnsafePointer(cancelFlag), height: Int64(map.height),
          width: Int64(map.width), affinities: held.copy(planes), labels: target.baseAddress)
        return withExtendedLifetime(held) { run(stage, &call, error) }
      }
    }
    return result
  }

  private func decide(_ window: FlatWindow) throws(CommandFault) -> ExternalAnswer {
    let run = unsafeBitCast(library.run, to: fgnet_run_agglomerate_function.self)
    let held = HeldArrays()
    let count = window.decisions.reduce(0, +)
    // A decision that is not written is none.
    var accepted = [UInt8](repeating: 255, count: count)
    var scores = [Float](repeating: -1, count: count)
    try called { error in
      accepted.withUnsafeMutableBufferPointer { accepted in
        scores.withUnsafeMutableBufferPointer { scores in
          var call = fgnet_agglomerate_call(
            size: Self.size(of: fgnet_agglomerate_call.self), cancel: UnsafePointer(cancelFlag),
            sections: Int64(window.z.count), decided_first: Int64(window.decided.lowerBound),
            decided_count: Int64(window.decided.count), z: held.copy(window.z),
            fragment_start: held.copy(window.fragmentStart),
            fragments: held.copy(window.fragments), areas: held.copy(window.areas),
            edge_start: held.copy(window.edgeStart), a: held.copy(window.a), b: held.copy(window.b),
            histogram_start: held.copy(window.histogramStart), bins: held.copy(window.bins),
            counts: held.copy(window.counts), decisions: Int64(count),
            accepted: accepted.baseAddress, scores: scores.baseAddress)
          return withExtendedLifetime(held) { run(stage, &call, error) }
        }
      }
    }
    return .decisions(accepted: accepted, scores: scores)
  }

  // MARK: Around a call

  private static func size<T>(of type: T.Type) -> UInt64 { UInt64(MemoryLayout<T>.size) }

  /// The planes' pointers, all valid at once.
  private static func withPointers<T>(
    _ planes: ArraySlice<Plane<Float>>, _ pointers: [UnsafePointer<Float>?] = [],
    _ body: (UnsafePointer<UnsafePointer<Float>?>?) -> T
  ) -> T {
    guard let first = planes.first else { return pointers.withUnsafeBufferPointer { body($0.baseAddress) } }
    return first.storage.withUnsafeBufferPointer {
      withPointers(planes.dropFirst(), pointers + [$0.baseAddress], body)
    }
  }

  /// Makes a call, and turns what it returns into a sentence.
  private func called(_ call: (UnsafeMutablePointer<fgnet_error>) -> Int32) throws(CommandFault) {
    try Self.check { call($0) }
  }

  private static func check(_ call: (UnsafeMutablePointer<fgnet_error>) -> Int32) throws(CommandFault) {
    var text = [CChar](repeating: 0, count: 1024)
    let status = text.withUnsafeMutableBufferPointer { buffer in
      var error = fgnet_error(
        size: size(of: fgnet_error.self), text: buffer.baseAddress, capacity: UInt64(buffer.count - 1))
      return call(&error)
    }
    switch Int(status) {
    case FGNET_OK: return
    case FGNET_CANCELLED: throw CommandFault("it was stopped")
    case FGNET_FAILED:
      let reason = CommandHeaders.readable(
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
      throw CommandFault(reason.isEmpty ? "it failed without a reason" : reason)
    default: throw CommandFault("it returned the unknown status \(status)")
    }
  }

  private static func create(
    _ library: StageLibrary, _ options: [(String, OptionValue)], _ volume: ExternalVolume
  ) throws(CommandFault) -> (OpaquePointer, ExternalReach) {
    // Kept until the call has returned.
    var texts: [UnsafeMutablePointer<CChar>?] = []
    func copy(_ text: String) -> UnsafePointer<CChar>? {
      texts.append(strdup(text))
      return UnsafePointer(texts[texts.count - 1])
    }
    defer { for text in texts { free(text) } }
    let values = UnsafeMutablePointer<fgnet_value>.allocate(capacity: options.count)
    defer { values.deallocate() }
    for (index, option) in options.enumerated() {
      var value = fgnet_value()
      value.size = size(of: fgnet_value.self)
      value.name = copy(option.0)
      value.type = library.optionTypes[index]
      switch option.1 {
      case .bool(let flag): value.integer = flag ? 1 : 0
      case .int(let number): value.integer = Int64(number)
      case .double(let number): value.number = number
      case .string(let text): value.text = copy(text)
      case .array: break
      }
      (values + index).initialize(to: value)
    }
    let pointers = options.indices.map { UnsafePointer<fgnet_value>?(values + $0) }
    var stage: OpaquePointer?
    var reach = fgnet_reach(size: size(of: fgnet_reach.self), halo: 0, context: 0, look_behind: 0, look_ahead: 0)
    let name = copy(volume.name)
    try check { error in
      pointers.withUnsafeBufferPointer { list in
        let size = volume.voxelSize
        var settings = fgnet_settings(
          size: Self.size(of: fgnet_settings.self), values: list.baseAddress, value_count: UInt64(list.count),
          volume: name, voxel_z_nm: size.z, voxel_y_nm: size.y, voxel_x_nm: size.x)
        return library.create(&settings, &stage, &reach, error)
      }
    }
    guard let stage else { throw CommandFault("it says that a stage was made, but gives none") }
    let found = ExternalReach(
      halo: reach.halo < 0 ? nil : Int(reach.halo), context: Int(reach.context), lookBehind: Int(reach.look_behind),
      lookAhead: Int(reach.look_ahead))
    if let fault = found.fault {
      library.destroy(stage)
      throw CommandFault(fault)
    }
    return (stage, found)
  }
}

/// Copies of arrays whose pointers are valid as long as this is.
private final class HeldArrays {
  private var blocks: [UnsafeMutableRawPointer] = []

  deinit { for block in blocks { block.deallocate() } }

  func copy<T: BitwiseCopyable>(_ values: [T]) -> UnsafePointer<T> {
    let block = UnsafeMutablePointer<T>.allocate(capacity: max(1, values.count))
    values.withUnsafeBufferPointer { if let base = $0.baseAddress { block.initialize(from: base, count: $0.count) } }
    blocks.append(UnsafeMutableRawPointer(block))
    return UnsafePointer(block)
  }
}
