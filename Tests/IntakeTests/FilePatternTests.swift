import Testing

@testable import Intake

@Suite struct FilePatternTests {
  @Test func numbersAndVolumesAreFound() throws {
    let pattern = try FilePattern(#"(?<volume>[a-z]+)_z(?<z>-?\d+)\.tiff?"#)
    #expect(pattern.match("brain_z0042.tif") == .section(z: 42, volume: "brain"))
    #expect(pattern.match("sub/folder/brain_z-7.tiff") == .section(z: -7, volume: "brain"))
    // The whole name has to match.
    #expect(pattern.match("brain_z42.tif.txt") == .other)
    #expect(pattern.match("my brain_z42.tif") == .other)
    #expect(pattern.match("") == .other)
  }

  @Test func whateverANameHoldsItIsMatched() throws {
    let pattern = try FilePattern(#".*?(?<z>\d+)\.png"#)
    for name in ["a b7.png", "line\nbreak\r\n7.png", "ä\u{301}7.png", "\u{1F9E0}7.png", "\u{2028}7.png", "%FF7.png"] {
      #expect(pattern.match(name) == .section(z: 7, volume: nil))
    }
  }

  @Test func aVolumeMayBeAbsent() throws {
    let pattern = try FilePattern(#"((?<volume>\w)-)?(?<z>\d+)\.png"#)
    #expect(pattern.match("3.png") == .section(z: 3, volume: nil))
    #expect(pattern.match("a-3.png") == .section(z: 3, volume: "a"))
  }

  @Test func aPatternWithASlashMatchesThePath() throws {
    let pattern = try FilePattern(#"(?<volume>[^/]+)/(?<z>\d+)\.png"#)
    #expect(pattern.match("stack/12.png") == .section(z: 12, volume: "stack"))
    #expect(pattern.match("12.png") == .other)
    #expect(pattern.match("a/stack/12.png") == .other)
  }

  @Test func unusableNumbersAreNamed() throws {
    let pattern = try FilePattern(#"s(?<z>.*)\.png"#, range: 0...999)
    func reason(_ name: String) -> String {
      if case .refused(let reason) = pattern.match(name) { reason } else { "" }
    }
    #expect(pattern.match("s999.png") == .section(z: 999, volume: nil))
    #expect(reason("s1000.png") == "its section number 1000 is outside 0...999")
    #expect(reason("s-1.png") == "its section number -1 is outside 0...999")
    #expect(reason("s99999999999999999999.png").contains("outside"))
    #expect(reason("sx.png").contains("no whole number"))
    #expect(reason("s.png").contains("no whole number"))
    #expect(reason("s١٢.png").contains("no whole number"))
  }

  @Test(arguments: ["(?<z>\\d+", "no group", "(?<volume>a)\\d+", "*"])
  func badPatternsAreRefusedWithASentence(source: String) {
    let error = #expect(throws: IntakeError.self) { _ = try FilePattern(source) }
    #expect(error?.description.contains("\"\(source)\"") == true)
    #expect(error?.description.contains("correct it") == true)
  }
}
