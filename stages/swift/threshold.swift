// A watershed stage in Swift: connected pixels whose y and x affinities are above a threshold.
//
//   swiftc -O -parse-as-library -emit-library -module-name Threshold -I stages/swift -o threshold.so stages/swift/threshold.swift
//
// The module CFGNetStage is include/fgnet_stage.h (stages/swift/module.modulemap).
import CFGNetStage

/// What is made by `create`: behind the pointer that the daemon keeps.
final class Stage {
  let threshold: UInt8
  init(threshold: UInt8) { self.threshold = threshold }
}

/// A text that lives as long as the library.
private func forever(_ text: String) -> UnsafePointer<CChar> {
  let bytes = Array(text.utf8CString)
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
  copy.initialize(from: bytes, count: bytes.count)
  return UnsafePointer(copy)
}

private func forever<T>(_ values: [T]) -> UnsafePointer<T> {
  let copy = UnsafeMutablePointer<T>.allocate(capacity: values.count)
  copy.initialize(from: values, count: values.count)
  return UnsafePointer(copy)
}

nonisolated(unsafe) private let description: UnsafePointer<fgnet_description> = {
  var threshold = fgnet_option()
  threshold.size = UInt64(MemoryLayout<fgnet_option>.size)
  threshold.name = forever("threshold")
  threshold.type = Int32(FGNET_NUMBER)
  threshold.has_default = 1
  threshold.default_number = 0.5
  threshold.minimum = 0
  threshold.maximum = 1
  threshold.summary = forever("Affinity above which two pixels are of one fragment.")
  var description = fgnet_description()
  description.size = UInt64(MemoryLayout<fgnet_description>.size)
  description.kind = Int32(FGNET_WATERSHED)
  description.version = forever("1")
  description.summary = forever("Connected pixels above a threshold, in Swift.")
  description.options = forever([forever([threshold]), nil] as [UnsafePointer<fgnet_option>?])
  return forever([description])
}()

@_cdecl("fgnet_stage_abi")
public func abi() -> UInt32 { UInt32(FGNET_STAGE_ABI) }

@_cdecl("fgnet_stage_describe")
public func describe() -> UnsafePointer<fgnet_description>? { description }

@_cdecl("fgnet_stage_create")
public func create(
  _ settings: UnsafePointer<fgnet_settings>, _ stage: UnsafeMutablePointer<OpaquePointer?>,
  _ reach: UnsafeMutablePointer<fgnet_reach>, _ error: UnsafeMutablePointer<fgnet_error>
) -> Int32 {
  let threshold = settings.pointee.values?[0]?.pointee.number ?? 0.5
  stage.pointee = OpaquePointer(Unmanaged.passRetained(Stage(threshold: UInt8(threshold * 255))).toOpaque())
  return Int32(FGNET_OK)
}

@_cdecl("fgnet_stage_destroy")
public func destroy(_ stage: OpaquePointer) { Unmanaged<Stage>.fromOpaque(UnsafeRawPointer(stage)).release() }

@_cdecl("fgnet_stage_run_watershed")
public func run(
  _ stage: OpaquePointer, _ call: UnsafePointer<fgnet_watershed_call>, _ error: UnsafeMutablePointer<fgnet_error>
) -> Int32 {
  let stage = Unmanaged<Stage>.fromOpaque(UnsafeRawPointer(stage)).takeUnretainedValue()
  let (height, width) = (Int(call.pointee.height), Int(call.pointee.width))
  guard let affinities = call.pointee.affinities, let labels = call.pointee.labels else { return Int32(FGNET_FAILED) }
  let y = affinities + height * width
  let x = y + height * width
  var waiting: [Int] = []
  var count: UInt32 = 0
  for start in 0..<height * width { labels[start] = 0 }
  for start in 0..<height * width where labels[start] == 0 {
    if call.pointee.cancel.pointee != 0 { return Int32(FGNET_CANCELLED) }
    count += 1
    labels[start] = count
    waiting.append(start)
    func visit(_ pixel: Int, _ affinity: UInt8) {
      guard affinity > stage.threshold, labels[pixel] == 0 else { return }
      labels[pixel] = count
      waiting.append(pixel)
    }
    while let pixel = waiting.popLast() {
      let (row, column) = (pixel / width, pixel % width)
      if row > 0 { visit(pixel - width, y[pixel]) }
      if row < height - 1 { visit(pixel + width, y[pixel + width]) }
      if column > 0 { visit(pixel - 1, x[pixel]) }
      if column < width - 1 { visit(pixel + 1, x[pixel + 1]) }
    }
  }
  return Int32(FGNET_OK)
}
