import DB
import Domain

extension SectionCommit {
  /// Gives the fragments of sections that are not final their provisional ids, here and at the edges' ends.
  mutating func useProvisionalIDs(where isProvisional: (SectionNumber) -> Bool) {
    func shown(_ id: FragmentID) -> FragmentID { isProvisional(id.z) ? id.provisional : id }
    fragments = fragments.map { (summary: $0.summary, id: shown($0.id)) }
    edges = edges.map { edge in
      var edge = edge
      edge.a = shown(edge.a)
      edge.b = shown(edge.b)
      return edge
    }
  }
}
