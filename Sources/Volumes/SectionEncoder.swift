import CHDF5
import Domain

/// Writes a section's products into an open HDF5 file.
struct SectionEncoder {
  static let format: Int64 = 1
  static let chunk = 256
  static let listChunk = 1 << 16

  let output: H5Output
  private var context: H5Context { output.context }
  private var root: hid_t { output.raw }

  func encode(_ products: SectionProducts) throws(VolumeError) {
    try begin(products.z)
    let writer = H5Writer(context: context, place: root)
    if let image = products.image { try plane("image", .u8, image, writer) }
    if let image = products.image16 { try plane("image16", .u16, image, writer) }
    if let affinities = products.affinities { try encode(affinities) }
    if let fragments = products.fragments { try encode(fragments) }
    if let graph = products.graph { try encode(graph) }
    if let summaries = products.summaries { try encode(summaries) }
    try end(products.attributes)
  }

  // The parts, in this order.

  func begin(_ z: SectionNumber) throws(VolumeError) {
    let writer = H5Writer(context: context, place: root)
    try writer.attribute("format", .i64, [Self.format])
    try writer.attribute("z", .i64, [Int64(z)])
  }

  func end(_ attributes: [String: String]) throws(VolumeError) {
    let provenance = try H5Writer(context: context, place: root).group("provenance")
    let texts = H5Writer(context: context, place: provenance.raw)
    for (name, text) in attributes.sorted(by: { $0.key < $1.key }) {
      guard !name.isEmpty else { throw .unwritable(path: context.path, reason: "an attribute without a name") }
      try texts.attribute(name, text)
    }
  }

  private func plane<T>(
    _ name: String, _ element: H5Element, _ plane: Plane<T>, _ writer: H5Writer
  ) throws(VolumeError) {
    try writer.write(
      name, element, [plane.height, plane.width], plane.storage, chunk: [Self.chunk, Self.chunk])
    try output.checkWrites()
  }

  func encode(_ fragments: FragmentSection) throws(VolumeError) {
    try plane("fragments", .u32, fragments.labels, H5Writer(context: context, place: root))
    let dataset = try H5ID(H5Dopen2(root, "fragments", chdf5_default()), context)
    try H5Writer(context: context, place: dataset.raw).attribute("count", .i64, [Int64(fragments.count)])
  }

  func encode(_ affinities: AffinitySection) throws(VolumeError) {
    try planes("affinities", [affinities.z, affinities.y, affinities.x])
    guard let coarse = affinities.coarse else { return }
    try planes("coarse_affinities", [coarse.z, coarse.y, coarse.x])
    let dataset = try H5ID(H5Dopen2(root, "coarse_affinities", chdf5_default()), context)
    try H5Writer(context: context, place: dataset.raw).attribute("stride", .i64, [Int64(CoarseAffinities.stride)])
  }

  /// Planes of one shape, as one dataset.
  private func planes(_ name: String, _ planes: [Plane<UInt8>]) throws(VolumeError) {
    let writer = H5Writer(context: context, place: root)
    let (height, width) = (planes[0].height, planes[0].width)
    let dataset = try writer.dataset(
      name, .u8, [planes.count, height, width], chunk: [1, Self.chunk, Self.chunk])
    if height == 0 || width == 0 { return }
    for (i, plane) in planes.enumerated() {
      try writer.writePlane(i, of: dataset.raw, .u8, height: height, width: width, plane.storage)
      try output.checkWrites()
    }
  }

  func encode(_ graph: SectionGraph) throws(VolumeError) {
    let group = try H5Writer(context: context, place: root).group("graph")
    let lists = H5Writer(context: context, place: group.raw)
    try lists.attribute("z", .i64, [Int64(graph.z)])
    try list("fragments", .u64, graph.fragments.map(\.rawValue), lists)
    try list("areas", .i64, graph.areas.map { Int64($0) }, lists)
    try list("edge_a", .u64, graph.edges.a.map(\.rawValue), lists)
    try list("edge_b", .u64, graph.edges.b.map(\.rawValue), lists)
    try list("histogram_offsets", .u64, graph.edges.start.map { UInt64($0) }, lists)
    try list("histogram_bins", .u8, graph.edges.bins, lists)
    try list("histogram_counts", .u32, graph.edges.counts, lists)
  }

  func encode(_ summaries: [FragmentSummary]) throws(VolumeError) {
    let group = try H5Writer(context: context, place: root).group("summaries")
    let lists = H5Writer(context: context, place: group.raw)
    try list("label", .u32, summaries.map(\.label), lists)
    try list("area", .i64, summaries.map { Int64($0.area) }, lists)
    let boxes = summaries.flatMap { [$0.minY, $0.minX, $0.maxY, $0.maxX] }
    try lists.write("box", .i32, [summaries.count, 4], boxes, chunk: [Self.listChunk / 4, 4])
    let centroids = summaries.flatMap { [$0.centroidY, $0.centroidX] }
    try lists.write("centroid", .f64, [summaries.count, 2], centroids, chunk: [Self.listChunk / 2, 2])
  }

  private func list<T: BitwiseCopyable>(
    _ name: String, _ element: H5Element, _ values: [T], _ writer: H5Writer
  ) throws(VolumeError) {
    try writer.write(name, element, [values.count], values, chunk: [Self.listChunk])
  }
}
