import Domain
import Volumes

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
