public import Domain

/// Names in a volume's folder of the store:
/// `z000123-<12 hex of the source's SHA-256>.image.h5` the section as it came, and
/// `z000123-<12 hex of the content>.h5` its products. A name is never reused for other content.
public func sectionPrefix(_ z: SectionNumber) -> String {
  let digits = String(z.magnitude)
  return (z < 0 ? "z-" : "z") + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "-"
}

/// The file of a section's products.
/// - Parameter content: hexadecimal.
public func productName(_ z: SectionNumber, _ content: String) -> String {
  sectionPrefix(z) + content.prefix(12) + ".h5"
}

/// The file of a section as it came.
/// - Parameter sha256: hexadecimal.
public func imageName(_ z: SectionNumber, _ sha256: String) -> String {
  sectionPrefix(z) + sha256.prefix(12) + ".image.h5"
}

/// Whether a file is a section as it came.
public func isImageName(_ name: String) -> Bool { name.hasSuffix(".image.h5") }
