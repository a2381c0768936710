import Domain
import Volumes

/// A section's product: which file, and what it is computed from.
struct Product {
  /// The section below, and the content of the affinities its fragments come from.
  struct Below: Equatable, Sendable {
    var z: SectionNumber
    var affinity: String
  }

  var place: Int
  var z: SectionNumber
  var affinity: String
  var below: Below?
  var graph: String
  var name: String { productName(z, graph) }
}

/// A product that is to be made, with all that making it needs: values and names of files, so that it can be made on any
/// thread while the plan goes on changing.
struct ProductOrder: Sendable {
  /// A section as it was taken in.
  struct Source: Sendable {
    var z: SectionNumber
    var sha256: String
    /// The microscope's file, in case the one in the store is damaged.
    var path: String?
    /// Which of that file's sections.
    var plane: Int
    /// Of the image that the network sees.
    var key: String
    var size: PlaneWindow?
  }

  struct Below: Sendable {
    var section: Product.Below
    var signature: UInt32
    /// A product with its fragments; nil if that is still being made.
    var file: String?
  }

  var name: String
  var z: SectionNumber
  var affinityContent: String
  var graphContent: String
  /// The section and those around it that its affinities depend on, and what those below depend on.
  var stack: [Source]
  /// Of the section in the stack.
  var index: Int
  var signature: UInt32
  var below: Below?
  /// Factor on the affinities to the section below.
  var confidence: Double
  /// A product of the same section with the same affinities, on another section below: the network need not run.
  var sameAffinities: String?
}
