public import Domain
import Glibc

extension SectionStore {
  /// Makes the folder, with those above it.
  /// - Throws: `VolumeError.unwritable`.
  public func prepare() throws(VolumeError) {
    var made = ""
    for part in directory.split(separator: "/", omittingEmptySubsequences: false) {
      made += part + "/"
      guard mkdir(made, 0o755) == 0 || errno == EEXIST || Files.isFolder(made) else {
        throw .writing(directory, number: errno)
      }
    }
  }

  /// Whether a file of that name is there.
  public func exists(_ name: String) -> Bool { Files.exists(path(name)) }

  /// Names of the files that begin with `prefix`, sorted.
  /// - Throws: `VolumeError.unreadable`.
  public func names(withPrefix prefix: String) throws(VolumeError) -> [String] {
    try Files.names(in: directory).filter { $0.hasPrefix(prefix) }.sorted()
  }

  /// Keeps a section as the microscope wrote it: `/image` at 8 bit, and `/image16` if it has 16.
  /// - Throws: As `write`.
  public func writeSource(
    _ image: SectionImage, z: SectionNumber, name: String, attributes: [String: String]
  ) throws(VolumeError) {
    let pixels = image.pixels
    let shift = UInt16(image.bitDepth - 8)
    let bytes = pixels.storage.map { UInt8(truncatingIfNeeded: $0 &>> shift) }
    try write(
      SectionProducts(
        z: z, image: Plane(height: pixels.height, width: pixels.width, storage: bytes),
        image16: image.bitDepth == 16 ? pixels : nil, attributes: attributes),
      name: name)
  }

  /// What `writeSource` kept.
  /// - Throws: As `read`.
  public func readSource(_ name: String) throws(VolumeError) -> SectionImage {
    let products = try read(name, parts: [.image])
    if let pixels = products.image16 { return SectionImage(bitDepth: 16, pixels: pixels) }
    guard let bytes = products.image else { throw .corrupt(path: path(name), reason: "it has no image") }
    return SectionImage(
      bitDepth: 8, pixels: Plane(height: bytes.height, width: bytes.width, storage: bytes.storage.map(UInt16.init)))
  }
}
