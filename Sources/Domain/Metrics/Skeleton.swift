/// A neuron as a graph of nodes: what a person traced.
public struct Skeleton: Sendable, Equatable {
  /// A place, nanometres.
  public struct Node: Sendable, Equatable {
    public var z: Double
    public var y: Double
    public var x: Double
    public init(z: Double, y: Double, x: Double) {
      self.z = z
      self.y = y
      self.x = x
    }

    /// Nanometres to another node.
    public func distance(to other: Node) -> Double {
      let (dz, dy, dx) = (z - other.z, y - other.y, x - other.x)
      return (dz * dz + dy * dy + dx * dx).squareRoot()
    }
  }

  /// A link of two nodes, by their indices.
  public struct Edge: Sendable, Equatable {
    public var from: Int
    public var to: Int
    public init(_ from: Int, _ to: Int) {
      self.from = from
      self.to = to
    }
  }

  public var name: String
  public var nodes: [Node]
  public var edges: [Edge]

  /// - Precondition: edges name nodes that are there.
  public init(name: String, nodes: [Node], edges: [Edge]) {
    precondition(edges.allSatisfy { nodes.indices.contains($0.from) && nodes.indices.contains($0.to) })
    self.name = name
    self.nodes = nodes
    self.edges = edges
  }
}
