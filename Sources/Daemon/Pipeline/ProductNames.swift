import Domain
import Volumes

/// Names in a volume's folder of the store:
/// `z000123-<12 hex of the source's SHA-256>.image.h5` the section as it came, and
/// `z000123-<12 hex of the content>.h5` its products. A name is never reused for other content.
func sectionPrefix(_ z: SectionNumber) -> String {
  let digits = String(z.magnitude)
  return (z < 0 ? "z-" : "z") + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "-"
}

func productName(_ z: SectionNumber, _ content: String) -> String { sectionPrefix(z) + content.prefix(12) + ".h5" }

func imageName(_ z: SectionNumber, _ sha256: String) -> String { sectionPrefix(z) + sha256.prefix(12) + ".image.h5" }

func isImageName(_ name: String) -> Bool { name.hasSuffix(".image.h5") }

extension SectionStore {
  /// A volume's folder in a state directory.
  init(stateDirectory: String, volume: String) { self.init(directory: stateDirectory + "/sections/" + volume) }
}

extension FragmentID {
  /// The id a fragment has while it is shown provisionally: never that of a final one.
  var provisional: FragmentID { FragmentID(z: z, signature: signature ^ 0x3F_FFFF, label: label) }
}

/// SHA-256 of a text, hexadecimal.
func contentHash(_ text: String) -> String {
  do { return try ContentHash.sha256(of: Array(text.utf8)) } catch {
    preconditionFailure("libcrypto cannot hash: \(error)")
  }
}

/// Intensities 0...1 in 8 bits.
func quantised(_ image: Plane<Float>) -> Plane<UInt8> {
  Plane(
    height: image.height, width: image.width,
    storage: image.storage.map { UInt8((min(max($0, 0), 1) * 255).rounded()) })
}
