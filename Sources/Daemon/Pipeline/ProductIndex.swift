import Domain
import Volumes

/// The product files in a volume's folder, by section, so that no step lists a folder that grows with the volume.
struct ProductIndex {
  private var byPrefix: [Substring: [String]] = [:]
  /// What the affinities of a file were computed from, for those that were looked at.
  private var affinities: [String: String] = [:]

  init(_ names: [String]) {
    for name in names { insert(name) }
  }

  mutating func insert(_ name: String, affinity: String? = nil) {
    guard !isImageName(name), let end = name.lastIndex(of: "-") else { return }
    let prefix = name[...end]
    if byPrefix[prefix]?.contains(name) != true { byPrefix[prefix, default: []].append(name) }
    if let affinity { affinities[name] = affinity }
  }

  /// The section of a product, by its file's name.
  static func section(_ name: String) -> SectionNumber? {
    guard name.hasPrefix("z"), let end = name.lastIndex(of: "-") else { return nil }
    return SectionNumber(name[name.index(after: name.startIndex)..<end])
  }

  mutating func remove(_ name: String) {
    guard let end = name.lastIndex(of: "-") else { return }
    byPrefix[name[...end]]?.removeAll { $0 == name }
    affinities[name] = nil
  }

  func names(_ z: SectionNumber) -> [String] { byPrefix[Substring(sectionPrefix(z))] ?? [] }

  func contains(_ name: String) -> Bool {
    guard let end = name.lastIndex(of: "-") else { return false }
    return byPrefix[name[...end]]?.contains(name) ?? false
  }

  /// What the affinities of a file were computed from; nil if the file does not say.
  /// - Throws: As `SectionStore.read`: a damaged file must be told from one of other content.
  mutating func affinity(of name: String, in store: SectionStore) throws(VolumeError) -> String? {
    if let known = affinities[name] { return known }
    guard let found = try store.attributes(name)["affinity_content"] else { return nil }
    affinities[name] = found
    return found
  }

  /// A product of the section with these affinities.
  /// - Throws: As `affinity`.
  mutating func name(_ z: SectionNumber, affinity: String, in store: SectionStore) throws(VolumeError) -> String? {
    for name in names(z) where try self.affinity(of: name, in: store) == affinity { return name }
    return nil
  }
}
