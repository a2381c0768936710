import Domain

/// Names of the product files in a volume's folder, by section, so that no step lists a folder that grows with the volume.
struct ProductIndex {
  private var byPrefix: [Substring: [String]] = [:]

  init(_ names: [String]) {
    for name in names { insert(name) }
  }

  mutating func insert(_ name: String) {
    guard !isImageName(name), let end = name.lastIndex(of: "-") else { return }
    let prefix = name[...end]
    if byPrefix[prefix]?.contains(name) != true { byPrefix[prefix, default: []].append(name) }
  }

  mutating func remove(_ name: String) {
    guard let end = name.lastIndex(of: "-") else { return }
    byPrefix[name[...end]]?.removeAll { $0 == name }
  }

  func names(_ z: SectionNumber) -> [String] { byPrefix[Substring(sectionPrefix(z))] ?? [] }

  func contains(_ name: String) -> Bool {
    guard let end = name.lastIndex(of: "-") else { return false }
    return byPrefix[name[...end]]?.contains(name) ?? false
  }
}
