import Foundation
import Testing

@testable import Intake

/// What kinds of file systems there are, and what a folder may hold besides files.
@Suite struct FileSystemTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func listing() throws -> FolderListing {
    guard case .listing(let listing) = FolderScanner.scan(folder.path, recursive: true) else {
      throw CallFailure(what: "scan", number: 0)
    }
    return listing
  }

  @Test(arguments: [
    (UInt64(0x6969), "nfs", false), (0xFF53_4D42, "cifs", false), (0xFE53_4D42, "smb3", false),
    (0x0BD0_0BD0, "lustre", false), (0x6573_5546, "fuse", false), (0x4750_4653, "gpfs", false),
    (0x0102_1997, "9p", false), (0xEF53, "ext4", true), (0x0102_1994, "tmpfs", true), (0x794C_7630, "overlay", true),
    (0x1234, "type 0x1234", true),
  ])
  func kinds(number: UInt64, name: String, tellsEvents: Bool) {
    #expect(FileSystemType(number: number) == FileSystemType(name: name, tellsEvents: tellsEvents))
  }

  @Test func theKindOfAFolderIsRead() throws {
    // As stat(1) reads it.
    let stat = Process()
    stat.executableURL = URL(fileURLWithPath: "/usr/bin/stat")
    stat.arguments = ["-f", "-c", "%t", folder.path]
    let output = Pipe()
    stat.standardOutput = output
    try stat.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    stat.waitUntilExit()
    let number = try #require(UInt64(text.dropLast(), radix: 16))
    #expect(FileSystemType(holding: folder.path) == FileSystemType(number: number))
    #expect(try listing().fileSystem == FileSystemType(number: number))
    #expect(FileSystemType(holding: folder.file("no")) == nil)
  }

  /// Links to files are the file, wherever it is; links to folders, to nowhere and in a circle are nothing.
  @Test func links() throws {
    let elsewhere = try TemporaryFolder()
    try put("four", elsewhere.file("far.tif"))
    try check(mkdir(elsewhere.file("sub"), 0o755), "mkdir")
    try put("x", elsewhere.file("sub/deep.tif"))
    for (target, name) in [
      (elsewhere.file("far.tif"), "far.tif"), ("far.tif", "chain.tif"), ("loop2.tif", "loop1.tif"),
      ("loop1.tif", "loop2.tif"), ("self.tif", "self.tif"), ("nowhere.tif", "dangling.tif"),
      (elsewhere.file("sub"), "sub"), ("..", "up"), ("far.tif/x", "notafolder.tif"),
    ] {
      try check(symlink(target, folder.file(name)), "symlink")
    }
    #expect(try listing().files.map(\.path) == ["chain.tif", "far.tif"].map { folder.file($0) })
    #expect(try listing().files.map(\.size) == [4, 4] && listing().faults == [])
    // The target comes, and goes.
    try put("new", folder.file("nowhere.tif"))
    try check(unlink(elsewhere.file("far.tif")), "unlink")
    #expect(try listing().files.map(\.path) == ["dangling.tif", "nowhere.tif"].map { folder.file($0) })
    let two = try listing().files
    #expect(two[0].inode == two[1].inode)
  }

  @Test func whatMayNotBeListedIsAFault() throws {
    for name in ["open", "shut"] {
      try check(mkdir(folder.file(name), 0o755), "mkdir")
      try put("x", folder.file(name + "/z.tif"))
    }
    try check(chmod(folder.path, 0o755), "chmod")
    try check(chmod(folder.file("shut"), 0), "chmod")
    let found = try unprivileged { try listing() }
    try check(chmod(folder.file("shut"), 0o755), "chmod")
    #expect(found.files.map(\.path) == [folder.file("open/z.tif")])
    #expect(found.faults == [ScanFault(path: folder.file("shut"), reason: "Permission denied")])
    #expect(try listing().files.count == 2)
  }

  @Test func aScanGivesSignsOfLife() throws {
    for name in ["a", "b", "c"] { try put("x", folder.file(name)) }
    var signs = 0
    _ = FolderScanner.scan(folder.path, recursive: true) { signs += 1 }
    #expect(signs >= 5)
  }

  @Test func pathsAreShownInOneLine() {
    #expect(PercentEscape.line("/a b/z 1%.tif") == "/a b/z 1%.tif")
    #expect(PercentEscape.line("/ä/z\n\u{1B}[2J.tif") == "/%C3%A4/z%0A%1B[2J.tif")
  }
}
