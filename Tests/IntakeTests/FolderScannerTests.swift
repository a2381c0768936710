import Foundation
import Testing

@testable import Intake

@Suite struct FolderScannerTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func listing(recursive: Bool = true) throws -> FolderListing {
    guard case .listing(let listing) = FolderScanner.scan(folder.path + "/", recursive: recursive) else {
      throw CallFailure(what: "scan", number: 0)
    }
    return listing
  }

  @Test func filesAreListedWithTheirStatus() throws {
    #expect(try listing().files == [])
    try put("four", folder.file("b.tif"))
    try check(mkdir(folder.file("a"), 0o755), "mkdir")
    try check(mkdir(folder.file("a/empty"), 0o755), "mkdir")
    try put("sixsix", folder.file("a/ z\n"))
    try check(link(folder.file("b.tif"), folder.file("c.tif")), "link")
    try check(symlink("b.tif", folder.file("d.tif")), "symlink")
    try check(symlink("nowhere", folder.file("e.tif")), "symlink")
    try check(symlink(".", folder.file("f")), "symlink")
    try check(mkfifo(folder.file("g"), 0o644), "mkfifo")
    let found = try listing()
    #expect(found.files.map(\.path) == ["a/ z\n", "b.tif", "c.tif", "d.tif"].map { folder.file($0) })
    #expect(found.files.map(\.size) == [6, 4, 4, 4])
    #expect(found.files[1].inode == found.files[2].inode && found.files[0].inode != found.files[1].inode)
    #expect(found.faults == [] && found.unnameable == [])
    #expect(FileStatus(ofFile: folder.file("b.tif")) == found.files[1])
    #expect(FileStatus(ofFile: folder.file("a")) == nil)
    #expect(try listing(recursive: false).files.map(\.path) == ["b.tif", "c.tif", "d.tif"].map { folder.file($0) })
  }

  @Test func aChangeShowsInTheStatus() throws {
    try put("one", folder.file("a"))
    try check(
      utimensat(AT_FDCWD, folder.file("a"), [timespec(tv_sec: 5, tv_nsec: 7), timespec(tv_sec: 5, tv_nsec: 7)], 0), "t")
    #expect(try listing().files[0].modified == 5_000_000_007)
    let before = try listing().files
    try put("two", folder.file("a"))
    #expect(try listing().files != before)
  }

  @Test func namesThatAreNotUTF8AreShown() throws {
    try put("x", Array(folder.path.utf8) + [0x2F, 0x61, 0xFF, 0x20])
    let found = try listing()
    #expect(found.files == [] && found.unnameable == [folder.path + "/a%FF "])
  }

  @Test func aFolderThatIsGoneIsNotAnEmptyOne() throws {
    guard case .vanished(let reason) = FolderScanner.scan(folder.file("no"), recursive: true) else {
      Issue.record("a missing folder was listed")
      return
    }
    #expect(reason == "\(folder.file("no")): No such file or directory")
    try put("x", folder.file("file"))
    #expect(
      FolderScanner.scan(folder.file("file"), recursive: true)
        == .vanished(reason: "\(folder.file("file")) is not a folder"))
  }
}
