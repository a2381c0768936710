public import Domain
import Synchronization

/// What a file's name says.
public enum FilePatternMatch: Sendable, Equatable {
  /// Section `z`; `volume` when the pattern has a group of that name that took part.
  case section(z: SectionNumber, volume: String?)
  /// The name does not match: no section.
  case other
  /// The name matches, but its number cannot be used.
  case refused(reason: String)
}

/// The pattern of section files: a regular expression with a group `z` and optionally a group `volume`.
///
/// It has to match the whole file name, or, when it contains "/", the whole path relative to the watched folder.
public final class FilePattern: Sendable {
  /// The text of the configuration.
  public let source: String
  /// Section numbers taken in.
  public let range: ClosedRange<SectionNumber>
  private let matchesPath: Bool
  private let hasVolume: Bool
  // A Regex compiles itself on first use and is not Sendable.
  private let regex: Mutex<Regex<AnyRegexOutput>>

  /// Compiles a pattern.
  /// - Throws: `IntakeError.badPattern`.
  public init(_ source: String, range: ClosedRange<SectionNumber> = FragmentID.sectionNumbers) throws(IntakeError) {
    let made: Regex<AnyRegexOutput>
    do {
      made = try Regex(source).matchingSemantics(.unicodeScalar).dotMatchesNewlines()
    } catch {
      throw .badPattern(pattern: source, reason: "it is no regular expression (\(error))")
    }
    guard made.contains(captureNamed: "z") else {
      throw .badPattern(pattern: source, reason: "it has no group (?<z>...) for the section number")
    }
    self.source = source
    self.range = range
    matchesPath = source.contains("/")
    hasVolume = made.contains(captureNamed: "volume")
    regex = Mutex(made)
  }

  /// Matches a path relative to the watched folder.
  public func match(_ relativePath: String) -> FilePatternMatch {
    var name = relativePath
    if !matchesPath, let slash = name.utf8.lastIndex(of: UInt8(ascii: "/")) {
      name = String(name[name.utf8.index(after: slash)...])
    }
    let groups: (z: String?, volume: String?)? = regex.withLock { regex in
      guard let match = try? regex.wholeMatch(in: name) else { return nil }
      return (match["z"]?.substring.map { String($0) }, hasVolume ? match["volume"]?.substring.map { String($0) } : nil)
    }
    guard let groups else { return .other }
    guard let text = groups.z, let number = SectionNumber(text) else {
      if let text = groups.z, Self.isNumber(text) { return .refused(reason: outside(text)) }
      return .refused(reason: "the group z of the pattern matched \"\(groups.z ?? "")\", which is no whole number")
    }
    guard range.contains(number) else { return .refused(reason: outside(text)) }
    return .section(z: number, volume: groups.volume)
  }

  private static func isNumber(_ text: String) -> Bool {
    let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
    return !digits.isEmpty && digits.count >= text.utf8.count - 1 && digits.allSatisfy { $0 >= 48 && $0 <= 57 }
  }

  private func outside(_ text: String) -> String {
    "its section number \(text) is outside \(range.lowerBound)...\(range.upperBound)"
  }
}
