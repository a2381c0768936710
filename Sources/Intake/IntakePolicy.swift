/// Times and names of the intake. Times are seconds.
public struct IntakePolicy: Sendable, Equatable {
  /// A file found by a scan without an event is looked at when it was unchanged for so long.
  public var settle: Double
  /// First pause after a look at a file that was not whole; later ones double.
  public var firstPause: Double
  /// Longest pause.
  public var longestPause: Double
  /// A file that is not whole and unchanged for so long is set aside.
  public var deadline: Double
  /// Files whose names end so are passed over (upper or lower case).
  public var ignoredEndings: [String]
  /// Whether names beginning with "." are passed over, folders included.
  public var ignoresHidden: Bool

  public init(
    settle: Double = 2, firstPause: Double = 0.5, longestPause: Double = 30, deadline: Double = 600,
    ignoredEndings: [String] = [".tmp", ".part", "~", "downloading"], ignoresHidden: Bool = true
  ) {
    self.settle = settle
    self.firstPause = firstPause
    self.longestPause = longestPause
    self.deadline = deadline
    self.ignoredEndings = ignoredEndings
    self.ignoresHidden = ignoresHidden
  }

  /// Whether a path relative to the watched folder is of a file to pass over.
  public func ignores(_ relativePath: String) -> Bool {
    let parts = relativePath.split(separator: "/")
    if ignoresHidden, parts.contains(where: { $0.utf8.first == UInt8(ascii: ".") }) { return true }
    let name = (parts.last ?? "").lowercased()
    return ignoredEndings.contains { name.hasSuffix($0.lowercased()) }
  }

  /// Pause after `attempts` looks in a row at an unchanged file.
  func pause(after attempts: Int) -> Double {
    var pause = firstPause
    for _ in 1..<max(1, attempts) where pause < longestPause { pause *= 2 }
    return min(pause, longestPause)
  }
}
