import Domain
import Glibc

@testable import Volumes

// What libFuzzer calls (tools/fuzz.sh). FGNET_FUZZ names the parser: `images`, `labels`, or `answer` for what fgnet-hdf5 says.

private let target = getenv("FGNET_FUZZ").map { String(cString: $0) } ?? "images"

/// A file that each input is written to: all parsers begin with a path.
private let file: (path: String, descriptor: Int32) = {
  var template = Array("/dev/shm/fgnet-fuzz-XXXXXX".utf8CString)
  let descriptor = mkstemp(&template)
  precondition(descriptor >= 0, "no file in /dev/shm")
  atexit { unlink(file.path) }
  return (String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self), descriptor)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  if target == "answer" {
    let text = String(decoding: UnsafeBufferPointer(start: data, count: size), as: UTF8.self)
    if let answer = HDF5Description(text) { precondition(answer.fault != nil || answer.facts != nil) }
    return 0
  }
  guard ftruncate(file.descriptor, 0) == 0, pwrite(file.descriptor, data, size, 0) == size else { return 0 }
  if target == "labels" { readLabels() } else { readImage(size) }
  return 0
}

private func readImage(_ size: Int) {
  let options = ImageOptions(stack: .sections)
  guard case .complete(let facts) = ImageProbe.probe(file.path, options) else { return }
  precondition(ImageProbe.refusal(height: facts.height, width: facts.width) == nil && facts.sections > 0)
  // The honest size: a byte stands for 4096 at most.
  precondition(facts.height * facts.width * facts.pixels.bytes <= 4096 * (size + 1))
  for section in Set([0, facts.sections - 1]) {
    guard let image = try? ImageReader.read(file.path, section: section, options) else { continue }
    precondition(image.pixels.height == facts.height && image.pixels.width == facts.width)
  }
}

private func readLabels() {
  guard let labels = try? LabelSource.open(file.path) else { return }
  for plane in Set([0, labels.count - 1]) { _ = try? labels.plane(plane) }
}
