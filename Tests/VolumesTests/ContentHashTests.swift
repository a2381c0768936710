import Testing

@testable import Volumes

@Suite struct ContentHashTests {
  @Test func vectorsOfFIPS180() throws {
    #expect(
      try ContentHash.sha256(of: []) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      try ContentHash.sha256(of: Array("abc".utf8))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func filesAreHashedInPieces() throws {
    let folder = try TemporaryFolder()
    try put([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000), folder.file("a"))
    #expect(
      try ContentHash.sha256(ofFile: folder.file("a"))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    #expect(throws: VolumeError.unreadable(path: folder.file("b"), reason: "No such file or directory")) {
      try ContentHash.sha256(ofFile: folder.file("b"))
    }
    #expect(throws: VolumeError.unreadable(path: folder.path, reason: "Is a directory")) {
      try ContentHash.sha256(ofFile: folder.path)
    }
  }
}
