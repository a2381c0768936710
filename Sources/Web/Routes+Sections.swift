import DB
import Domain
import Hummingbird

/// Pixels of sections: for the viewer, and for Neuroglancer.
extension Routes {
  func addSections(_ group: RouterGroup<Context>) {
    group.get("/tiles/:layer/:level/:y/:x") { [self] request, context in
      let place = TilePlace(
        level: try Self.integer(context, "level"), y: try Self.integer(context, "y"), x: try Self.integer(context, "x"))
      let layer = try Self.layer(context)
      let wanted = try Wanted(request, context)
      return try await catalogue.pool.read { record in
        let section = try wanted.section(record)
        guard let source = try wanted.source(section, layer) else {
          throw WebError.notFound("section \(section.z) has no \(layer.name) at that moment")
        }
        let etag = "\(source)-\(layer.name)-\(place.level)-\(place.y)-\(place.x)"
        if etag == wanted.known { return Payload.unchanged(etag) }
        let bytes: [UInt8]?
        if layer == .labels {
          bytes = try tiles.labels(source, section.size, place) { try catalogue.labels(record, section, $0) }?
            .storage.withUnsafeBytes { Array($0) }
        } else {
          bytes = try tiles.values(source, layer, section.size, place) { try catalogue.values(section, layer, $0) }?
            .storage
        }
        guard let bytes else {
          throw WebError.notFound("section \(section.z) has no tile \(place.y), \(place.x) at level \(place.level)")
        }
        return Payload(bytes, etag: etag, packs: wanted.packs)
      }.response
    }
    // Of each label, from 0: the segment (64 bits), all of them, then colours (red, green, blue, 255).
    group.get("/segments") { [self] request, context in
      let wanted = try Wanted(request, context)
      return try await catalogue.pool.read { record in
        let section = try wanted.section(record)
        _ = try wanted.source(section, .labels)
        let table = try catalogue.table(record, section, asOf: wanted.asOf)
        if table.name == wanted.known { return Payload.unchanged(table.name) }
        var bytes = table.segments.withUnsafeBytes { Array($0) }
        bytes.reserveCapacity(table.segments.count * 12)
        for segment in table.segments {
          let color = SegmentPalette.color(of: segment)
          bytes += [color.red, color.green, color.blue, segment == 0 ? 0 : 255]
        }
        return Payload(bytes, etag: table.name, packs: wanted.packs)
      }.response
    }
  }

  /// A section at a moment, as a request names it.
  private struct Wanted: Sendable {
    var volume: String
    var z: SectionNumber
    var asOf: Int64?
    /// Operation that wrote what the caller believes to be shown.
    var segmentation: Int64?
    var known: String?
    var packs: Bool

    init(_ request: Request, _ context: Context) throws {
      volume = try context.parameters.require("volume")
      z = try Routes.z(context)
      asOf = try Routes.operation(request, "as_of")
      segmentation = try Routes.operation(request, "segmentation")
      (known, packs) = (Payload.known(request), Payload.packs(request))
    }

    func section(_ record: Record) throws -> SectionView {
      try Catalogue.section(record, Catalogue.volume(record, volume), z, asOf: asOf)
    }

    /// What a layer's pixels come from; nil where there are none.
    func source(_ section: SectionView, _ layer: Tiles.Layer) throws -> String? {
      guard layer == .labels else { return layer == .image ? section.image : section.product }
      if let segmentation, segmentation != section.shown?.operation {
        throw WebError(status: .conflict, reason: "section \(z) is shown otherwise by now; ask for it again")
      }
      return section.labelSource
    }
  }

  private static func layer(_ context: Context) throws -> Tiles.Layer {
    let name = try context.parameters.require("layer")
    guard let layer = Tiles.Layer(name) else {
      throw WebError.notFound(
        "there is no layer \(name), but \(Tiles.Layer.all.map(\.name).joined(separator: ", "))")
    }
    return layer
  }

  // MARK: Neuroglancer

  func addPrecomputed(_ group: RouterGroup<Context>) {
    group.get("/info") { [self] _, context in
      let (name, kind) = try (context.parameters.require("volume"), Self.kind(context))
      return try await JSON.response(
        catalogue.pool.read { try JSON.data(Precomputed.info($0, Catalogue.volume($0, name), kind)) })
    }
    group.get("/properties/info") { [self] _, context in
      let (name, kind) = try (context.parameters.require("volume"), Self.kind(context))
      guard kind == .segmentation(asOf: nil) else { throw WebError.notFound("only segmentation has properties") }
      return try await JSON.response(
        catalogue.pool.read { try precomputed.properties($0, Catalogue.volume($0, name)) })
    }
    group.get("/:scale/:chunk") { [self] request, context in
      let (name, kind) = try (context.parameters.require("volume"), Self.kind(context))
      let (level, chunk) = try (Self.integer(context, "scale"), context.parameters.require("chunk"))
      let (known, packs) = (Payload.known(request), Payload.packs(request))
      return try await catalogue.pool.read { record in
        let made = try precomputed.chunk(
          record, Catalogue.volume(record, name), kind, level: level, name: chunk, known: known)
        guard let made else { return Payload.unchanged(known ?? "") }
        return Payload(made.bytes, etag: made.etag, packs: packs)
      }.response
    }
  }

  private static func kind(_ context: Context) throws -> Precomputed.Kind {
    let name = try context.parameters.require("kind")
    guard let kind = Precomputed.Kind(name) else {
      throw WebError.notFound("there are image, segmentation and segmentation@OPERATION, not \(name)")
    }
    return kind
  }
}

extension Tiles.Layer {
  /// As addresses name it.
  var name: String {
    switch self {
    case .image: "image"
    case .labels: "labels"
    case .affinities(let axis): ["affinity-z", "affinity-y", "affinity-x"][axis]
    case .coarse(let axis): ["coarse-z", "coarse-y", "coarse-x"][axis]
    }
  }

  static let all: [Tiles.Layer] =
    [.image, .labels] + (0..<3).map { .affinities(axis: $0) } + (0..<3).map { .coarse(axis: $0) }

  init?(_ name: String) {
    guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
    self = found
  }
}
