internal import CLinux

/// Programs that are installed with this one.
public enum Programs {
  /// Path of the program of that name in the folder of the running one; the name alone where that cannot be told.
  public static func path(beside name: String) -> String {
    var path = [CChar](repeating: 0, count: 4096)
    guard clinux_program(name, &path, path.count) == 0 else { return name }
    return path.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }
}
