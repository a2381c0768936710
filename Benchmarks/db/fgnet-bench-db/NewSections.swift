import DB
import Domain

/// Sections after the made-up history, to be committed as the daemon does.
struct NewSections {
  let patterns: [Pattern]
  let bundles: Bundles
  let shape: Shape
  private let between: [[Pattern.Contact]]

  init(_ shape: Shape) {
    self.shape = shape
    let patterns = [0, 1].map { Pattern(columns: shape.columns, parity: $0) }
    self.patterns = patterns
    bundles = Bundles(columns: shape.columns)
    between = [patterns[0].above(patterns[1]), patterns[1].above(patterns[0])]
  }

  /// As `made.id` says.
  static func id(_ z: Int, _ label: UInt32) -> FragmentID {
    FragmentID(z: SectionNumber(z), signature: UInt32((z * 7919 + 13) & 0x3F_FFFF), label: label)
  }

  /// Contacts of a section with an odd or even number: those within it, and those with the section below.
  func contacts(_ parity: Int) -> (within: [Pattern.Contact], between: [Pattern.Contact]) {
    (patterns[parity].within, between[parity])
  }

  func commit(_ z: Int) -> SectionCommit {
    var generator = SeededGenerator(seed: UInt64(z))
    let pattern = patterns[z % 2]
    var edges: [EdgeRow] = []
    func add(_ a: FragmentID, _ b: FragmentID, _ area: Int, _ accepted: Bool) {
      let chance = Float.random(in: 0..<1, using: &generator)
      edges.append(
        EdgeRow(
          a: a, b: b, contactArea: area, meanAffinity: (accepted ? 0.7 : 0.3) + 0.3 * chance,
          score: (accepted ? 0.6 : 0) + 0.4 * chance, accepted: accepted))
    }
    let ends = Dictionary(
      uniqueKeysWithValues: Set(bundles.spine).sorted().map {
        ($0, Double.random(in: 0..<1, using: &generator) < bundles.cut[$0])
      })
    for contact in between[z % 2] {
      let column = Int(contact.b) - 1
      let isSpine = bundles.spine[column] == column
      let goesOn =
        contact.a == contact.b && ends[bundles.spine[column]] == false
        && (isSpine || Double.random(in: 0..<1, using: &generator) * shape.meanLength >= 1)
      add(Self.id(z - 1, contact.a), Self.id(z, contact.b), contact.area, goesOn)
    }
    for contact in pattern.within where bundles.spine[Int(contact.b) - 1] != Int(contact.a) - 1 {
      add(Self.id(z, contact.a), Self.id(z, contact.b), contact.area, false)
    }
    // As many pieces are joined to their spine as begin, but for the orphans; an edge of a piece that is joined already tells nothing new.
    for column in bundles.spine.indices where bundles.spine[column] != column {
      if Double.random(in: 0..<1, using: &generator) * shape.meanLength < 1 - shape.orphans {
        add(Self.id(z, UInt32(bundles.spine[column]) + 1), Self.id(z, UInt32(column) + 1), 20, true)
      }
    }
    return SectionCommit(
      z: SectionNumber(z), file: "z\(z).h5", signature: "made up",
      fragments: pattern.fragments.map { ($0, Self.id(z, $0.label)) },
      edges: edges.sorted { ($0.a, $0.b) < ($1.a, $1.b) }, labels: pattern.tiles)
  }
}
