import CHDF5
import Domain

/// Reads a section's products from an open HDF5 file.
struct SectionDecoder {
  let reader: H5Reader

  func decode(_ parts: SectionParts) throws(VolumeError) -> SectionProducts {
    let format = try reader.integer("format")
    guard format == SectionEncoder.format else {
      throw .unsupported(path: reader.context.path, reason: "its format is \(format), this program reads 1")
    }
    var products = SectionProducts(z: try number(reader.integer("z"), "z"))
    let provenance = try reader.group("provenance")
    products.attributes = try H5Reader(context: reader.context, place: provenance.raw).texts()
    if parts.contains(.image), reader.has("image") { products.image = try plane("image", .u8, UInt8(0)) }
    if parts.contains(.image), reader.has("image16") { products.image16 = try plane("image16", .u16, UInt16(0)) }
    if parts.contains(.affinities), reader.has("affinities") {
      products.affinities = try affinities()
      if parts.contains(.coarse), reader.has("coarse_affinities") { products.affinities?.coarse = try coarse() }
    }
    if parts.contains(.fragments), reader.has("fragments") { products.fragments = try fragments() }
    if parts.contains(.graph), reader.has("graph") { products.graph = try graph() }
    if parts.contains(.summaries), reader.has("summaries") { products.summaries = try summaries() }
    return products
  }

  private func number(_ value: Int64, _ name: String) throws(VolumeError) -> SectionNumber {
    guard let z = SectionNumber(exactly: value) else { throw reader.damaged("\(name) is \(value)") }
    return z
  }

  private func plane<T>(_ name: String, _ element: H5Element, _ zero: T) throws(VolumeError) -> Plane<T> {
    let (shape, values) = try reader.read(name, element, rank: 2, zero: zero)
    return Plane(height: shape[0], width: shape[1], storage: values)
  }

  private func affinities() throws(VolumeError) -> AffinitySection {
    let planes = try planes("affinities")
    return AffinitySection(z: planes[0], y: planes[1], x: planes[2])
  }

  private func coarse() throws(VolumeError) -> CoarseAffinities {
    let dataset = try reader.dataset("coarse_affinities")
    let stride = try H5Reader(context: reader.context, place: dataset.raw).integer("stride")
    guard stride == Int64(CoarseAffinities.stride) else {
      throw reader.damaged("coarse_affinities has the stride \(stride)")
    }
    let planes = try planes("coarse_affinities")
    return CoarseAffinities(z: planes[0], y: planes[1], x: planes[2])
  }

  /// Three planes of one dataset.
  private func planes(_ name: String) throws(VolumeError) -> [Plane<UInt8>] {
    let dataset = try reader.dataset(name)
    let shape = try reader.shape(of: dataset.raw)
    guard shape.count == 3, shape[0] == 3, shape[1] <= ImageProbe.largestSide, shape[2] <= ImageProbe.largestSide
    else { throw reader.damaged("\(name) has the shape \(shape)") }
    var planes: [Plane<UInt8>] = []
    for i in 0..<3 {
      var values = [UInt8](repeating: 0, count: shape[1] * shape[2])
      if !values.isEmpty {
        try reader.readPlane(i, of: dataset.raw, .u8, height: shape[1], width: shape[2], into: &values)
      }
      planes.append(Plane(height: shape[1], width: shape[2], storage: values))
    }
    return planes
  }

  private func fragments() throws(VolumeError) -> FragmentSection {
    let labels = try plane("fragments", .u32, UInt32(0))
    let dataset = try reader.dataset("fragments")
    let count = try H5Reader(context: reader.context, place: dataset.raw).integer("count")
    guard count >= 0, count <= Int64(labels.storage.count) else {
      throw reader.damaged("fragments has the count \(count)")
    }
    return FragmentSection(labels: labels, count: Int(count))
  }

  private func graph() throws(VolumeError) -> SectionGraph {
    let group = try reader.group("graph")
    let lists = H5Reader(context: reader.context, place: group.raw)
    let z = try number(lists.integer("z"), "graph/z")
    let fragments = try list("fragments", .u64, UInt64(0), lists)
    let areas = try list("areas", .i64, Int64(0), lists)
    let a = try list("edge_a", .u64, UInt64(0), lists)
    let b = try list("edge_b", .u64, UInt64(0), lists)
    let offsets = try list("histogram_offsets", .u64, UInt64(0), lists)
    let bins = try list("histogram_bins", .u8, UInt8(0), lists)
    let counts = try list("histogram_counts", .u32, UInt32(0), lists)
    guard fragments.count == areas.count, offsets.allSatisfy({ $0 <= UInt64(bins.count) }),
      let edges = RegionEdges(
        a: a.map { FragmentID(rawValue: $0) }, b: b.map { FragmentID(rawValue: $0) }, start: offsets.map { Int($0) },
        bins: bins, counts: counts)
    else { throw reader.damaged("the lists of graph do not fit each other") }
    return SectionGraph(
      z: z, fragments: fragments.map { FragmentID(rawValue: $0) }, areas: areas.map { Int($0) }, edges: edges)
  }

  private func summaries() throws(VolumeError) -> [FragmentSummary] {
    let group = try reader.group("summaries")
    let lists = H5Reader(context: reader.context, place: group.raw)
    let labels = try list("label", .u32, UInt32(0), lists)
    let areas = try list("area", .i64, Int64(0), lists)
    let box = try lists.read("box", .i32, rank: 2, zero: Int32(0))
    let centroid = try lists.read("centroid", .f64, rank: 2, zero: Double(0))
    guard areas.count == labels.count, box.shape == [labels.count, 4], centroid.shape == [labels.count, 2] else {
      throw reader.damaged("the lists of summaries do not fit each other")
    }
    return labels.indices.map { i in
      FragmentSummary(
        label: labels[i], area: Int(areas[i]), minY: box.values[4 * i], minX: box.values[4 * i + 1],
        maxY: box.values[4 * i + 2], maxX: box.values[4 * i + 3], centroidY: centroid.values[2 * i],
        centroidX: centroid.values[2 * i + 1])
    }
  }

  private func list<T: BitwiseCopyable>(
    _ name: String, _ element: H5Element, _ zero: T, _ lists: H5Reader
  ) throws(VolumeError) -> [T] {
    try lists.read(name, element, rank: 1, zero: zero).values
  }
}
