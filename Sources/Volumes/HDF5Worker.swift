import CHDF5
import Glibc

/// What the program `fgnet-hdf5` does: one question about one file, within limits of memory and time.
public enum HDF5Worker {
  private static let memory: UInt = 1 << 30
  private static let seconds: UInt = 60

  /// `describe 0 FILE DATASET...` or `read BYTES FILE DATASET PLANE`; the answer goes to standard output.
  /// - Returns: The program's exit status.
  public static func run(_ arguments: [String]) -> Int32 {
    guard arguments.count >= 5, let bytes = UInt(arguments[2]), bytes < 1 << 40 else { return 64 }
    limit(RLIMIT_AS, memory + 4 * bytes)
    limit(RLIMIT_CPU, seconds + bytes >> 20)
    limit(RLIMIT_CORE, 0)
    do throws(VolumeError) {
      if arguments[1] == "describe" {
        say(try describe(arguments[3], Array(arguments[4...])))
        return 0
      }
      guard arguments[1] == "read", arguments.count == 6, let plane = Int(arguments[5]), plane >= 0 else { return 64 }
      return try read(arguments[3], arguments[4], plane: plane, bytes: Int(bytes)) ? 0 : 65
    } catch {
      switch error {
      case .corrupt(_, let reason), .unsupported(_, let reason), .unreadable(_, let reason):
        say("fault \(reason.split(whereSeparator: \.isNewline).joined(separator: " "))\nend\n")
      case .changed, .unwritable, .noSpace: break
      }
      return 65
    }
  }

  private static func limit(_ resource: __rlimit_resource, _ value: UInt) {
    var limits = rlimit(rlim_cur: value, rlim_max: value)
    setrlimit(__rlimit_resource_t(resource.rawValue), &limits)
  }

  private static func say(_ text: String) { write(Array(text.utf8)) }

  private static func write(_ bytes: [UInt8]) {
    var done = 0
    bytes.withUnsafeBytes { buffer in
      while done < buffer.count {
        let put = Glibc.write(STDOUT_FILENO, buffer.baseAddress! + done, buffer.count - done)
        if put < 0 && errno == EINTR { continue }
        if put <= 0 { return }
        done += put
      }
    }
  }

  private static func describe(_ path: String, _ names: [String]) throws(VolumeError) -> String {
    try HDF5.enter { () throws(VolumeError) in
      let input: H5Input
      do throws(VolumeError) { input = try H5Input(path) } catch {
        return "incomplete HDF5 cannot open it (yet)\nend\n"
      }
      let reader = input.reader()
      guard let index = names.firstIndex(where: { isThere($0, reader) }) else {
        return "fault no dataset \(names.joined(separator: ", ")) in it; name the one to read with `dataset`\nend\n"
      }
      let picture = try HDF5Stack(names[index], reader)
      guard picture.stored > 0 else { return "incomplete the dataset \(names[index]) has no pixels yet\nend\n" }
      var text = "dataset \(index)\nshape \(picture.sections) \(picture.height) \(picture.width)\n"
      text += "type \(picture.pixels.rawValue)\nstored \(picture.stored)\n"
      if let size = picture.nanometres { text += "nanometres \(size.map { "\($0)" }.joined(separator: " "))\n" }
      return text + "end\n"
    }
  }

  /// Every part of the path is a link within the file: HDF5 fails on a path whose first parts are missing, and links to other
  /// files are not followed.
  private static func isThere(_ name: String, _ reader: H5Reader) -> Bool {
    var path = ""
    for part in name.split(separator: "/") {
      path += path.isEmpty ? String(part) : "/" + part
      var info = H5L_info_t()
      guard reader.has(path), H5Lget_info(reader.place, path, &info, chdf5_default()) >= 0,
        info.type == H5L_TYPE_HARD || info.type == H5L_TYPE_SOFT
      else { return false }
    }
    return !path.isEmpty
  }

  private static func read(_ path: String, _ name: String, plane: Int, bytes: Int) throws(VolumeError) -> Bool {
    let values = try HDF5.enter { () throws(VolumeError) in
      let input = try H5Input(path)
      return try HDF5Stack(name, input.reader()).read(plane, bytes: bytes)
    }
    guard let values else { return false }
    write(values)
    return true
  }
}
