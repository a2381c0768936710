import DB
import Domain
import Foundation
import Hummingbird

/// Every address that is answered; `Pages/openapi.yaml` says the same for callers.
struct Routes: Sendable {
  typealias Context = BasicRequestContext

  let configuration: WebConfiguration
  let source: WebServer.Source
  let catalogue: Catalogue
  let tiles: Tiles
  let precomputed: Precomputed
  let history = EventHistory()
  let meter = Gate<Context>.Meter()

  init(_ configuration: WebConfiguration, _ source: WebServer.Source, _ pool: RecordPool) {
    self.configuration = configuration
    self.source = source
    catalogue = Catalogue(pool: pool, folder: source.folder, cache: configuration.cache / 8)
    tiles = Tiles(cache: configuration.cache / 8 * 7)
    precomputed = Precomputed(catalogue: catalogue, tiles: tiles)
  }

  func router() -> Router<Context> {
    let router = Router(context: Context.self)
    router.add(middleware: Gate(configuration: configuration, meter: meter))
    for file in Pages.files {
      router.get(file.path) { _, _ in
        Response(
          status: .ok, headers: [.contentType: file.type, .cacheControl: "no-cache"],
          body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
      }
    }
    addService(router)
    addVolumes(router.group("/api/v1"))
    addSections(router.group("/api/v1/volumes/:volume/sections/:z"))
    addPrecomputed(router.group("/precomputed/:volume/:kind"))
    return router
  }

  // MARK: The daemon

  private func addService(_ router: Router<Context>) {
    router.get("/healthz") { _, _ in Self.plain("ok\n") }
    router.get("/readyz") { [self] _, _ in
      let status = StatusView(source.status())
      guard Metrics.isFresh(status) else { return Self.plain("the daemon has not told its state for a minute\n", .serviceUnavailable) }
      if status?.alarms.contains(where: { $0.kind == "database" }) == true {
        return Self.plain("the database does not answer\n", .serviceUnavailable)
      }
      return Self.plain("ready\n")
    }
    router.get("/metrics") { [self] _, _ in
      let now = meter.now
      let metrics = Metrics(
        StatusView(source.status()), requests: (now.served, now.refused, now.failed), cacheBytes: tiles.bytesInUse,
        stateDirectory: source.stateDirectory)
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text)))
    }
    router.get("/api/v1/status") { [self] _, _ in
      guard let status = source.status() else { throw WebError.unavailable("the daemon has not told its state yet") }
      return Response(
        status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: status)))
    }
    router.get("/api/v1/disk") { [self] _, _ in
      guard let disk = Disk(source.stateDirectory) else { throw WebError.unavailable("the state directory is not there") }
      return try JSON.response(disk)
    }
    router.get("/api/v1/viewer") { [self] _, _ in
      try JSON.response(["neuroglancer": configuration.neuroglancer ?? "https://neuroglancer-demo.appspot.com/"])
    }
    router.get("/api/v1/events") { [self] _, _ in events() }
  }

  /// Server-sent events: the status whenever it changes.
  private func events() -> Response {
    let status = source.status
    return Response(
      status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
      body: ResponseBody { writer in
        var last: Data?
        var silent = 0
        while !Task.isCancelled {
          let now = status()
          if let now, now != last {
            last = now
            silent = 0
            let lines = String(decoding: now, as: UTF8.self).split(separator: "\n")
            try await writer.write(
              ByteBuffer(string: "event: status\n" + lines.map { "data: \($0)\n" }.joined() + "\n"))
          } else {
            silent += 1
            if silent % 15 == 0 { try await writer.write(ByteBuffer(string: ": still here\n\n")) }
          }
          try await Task.sleep(for: .seconds(1))
        }
        try await writer.finish(nil)
      })
  }

  // MARK: Volumes

  private func addVolumes(_ group: RouterGroup<Context>) {
    group.get("/volumes") { [self] _, _ in
      try JSON.response(
        await catalogue.pool.read { record in try record.volumes().map { try VolumeQueries.volume(record, $0) } })
    }
    group.get("/quarantine") { [self] _, _ in
      try JSON.response(await catalogue.pool.read { try VolumeQueries.quarantine($0) })
    }
    answer(group, "/volumes/:volume") { record, volume, _, _ in try VolumeQueries.volume(record, volume) }
    answer(group, "/volumes/:volume/sections") { record, volume, _, _ in try VolumeQueries.strip(record, volume) }
    answer(group, "/volumes/:volume/rates") { record, volume, request, _ in
      let seconds = try Self.number(request, "bucket_seconds", default: 300, in: 1...86400)
      let buckets = try Self.number(request, "buckets", default: 48, in: 1...500)
      return try VolumeQueries.rates(record, volume, bucketSeconds: seconds, buckets: buckets)
    }
    let history = history
    answer(group, "/volumes/:volume/events-by-section") { record, volume, _, _ in
      try history.counts(record, volume: volume.id)
    }
    answer(group, "/volumes/:volume/segments/:segment") { record, volume, _, context in
      try VolumeQueries.segment(record, volume, Self.segment(context))
    }
    answer(group, "/volumes/:volume/segments/:segment/lineage") { record, volume, request, context in
      let limit = try Self.number(request, "limit", default: 200, in: 1...5000)
      return try VolumeQueries.lineage(record, volume, Self.segment(context), limit: limit)
    }
    answer(group, "/volumes/:volume/sections/:z") { record, volume, _, context in
      try VolumeQueries.section(record, volume, Self.z(context))
    }
  }

  /// A GET that is answered by a query about one volume, in JSON.
  private func answer<T: Encodable & Sendable>(
    _ group: RouterGroup<Context>, _ path: RouterPath,
    _ body: @escaping @Sendable (Record, VolumeRow, Request, Context) throws -> T
  ) {
    group.get(path) { [catalogue] request, context in
      let name = try context.parameters.require("volume")
      return try JSON.response(
        await catalogue.pool.read { record in
          try body(record, Catalogue.volume(record, name), request, context)
        })
    }
  }

  // MARK: Sections

  private func addSections(_ group: RouterGroup<Context>) {
    group.get("/tiles/:layer/:level/:y/:x") { [self] request, context in
      let place = try (Self.integer(context, "level"), Self.integer(context, "y"), Self.integer(context, "x"))
      let layer = try Self.layer(context)
      let (volume, section) = try await section(context)
      let store = catalogue.store(volume.name)
      guard let file = layer == .image ? section.image : section.product else {
        throw WebError.notFound("section \(section.z) has no such layer yet")
      }
      let etag = "\(file)-\(layer)-\(place.0)-\(place.1)-\(place.2)"
      if Self.isKnown(request, etag) { return Self.notModified(etag) }
      let bytes: [UInt8]? = try await catalogue.pool.run { [tiles] in
        if layer == .labels {
          return try tiles.labels(
            store, file, height: section.height, width: section.width, level: place.0, y: place.1, x: place.2
          )?.storage.withUnsafeBytes { Array($0) }
        }
        return try tiles.values(
          store, file, layer, height: section.height, width: section.width, level: place.0, y: place.1, x: place.2
        )?.storage
      }
      guard let bytes else { throw WebError.notFound("section \(section.z) has no tile \(place.1), \(place.2) at level \(place.0)") }
      return Self.binary(bytes, request, etag: etag)
    }
    // Of each label, from 0: the segment (64 bits), all of them, then colours (32 bits, 0x00BBGGRR).
    group.get("/segments") { [self] request, context in
      let (volume, section) = try await section(context)
      let table = try await catalogue.segments(volume, section, asOf: Self.operation(request))
      var bytes = table.withUnsafeBytes { Array($0) }
      bytes.reserveCapacity(table.count * 12)
      for segment in table {
        let color = SegmentPalette.color(of: segment)
        bytes += [color.red, color.green, color.blue, segment == 0 ? 0 : 255]
      }
      return Self.binary(bytes, request, etag: nil)
    }
  }

  private func section(_ context: Context) async throws -> (VolumeRow, SectionView) {
    let z = try Self.z(context)
    let volume = try await catalogue.volume(context.parameters.require("volume"))
    guard let section = try await catalogue.section(volume, z) else {
      throw WebError.notFound("volume \(volume.name) has no section \(z)")
    }
    return (volume, section)
  }

  // MARK: Neuroglancer

  private func addPrecomputed(_ group: RouterGroup<Context>) {
    group.get("/info") { [self] _, context in
      let volume = try await catalogue.volume(context.parameters.require("volume"))
      return try JSON.response(await precomputed.info(volume, Self.kind(context)))
    }
    group.get("/properties/info") { [self] _, context in
      let name = try context.parameters.require("volume")
      return try JSON.response(
        await catalogue.pool.read { record in
          try VolumeQueries.properties(record, Catalogue.volume(record, name), limit: 20_000)
        })
    }
    group.get("/:scale/:chunk") { [self] request, context in
      let level = try Self.integer(context, "scale")
      let volume = try await catalogue.volume(context.parameters.require("volume"))
      let (bytes, etag) = try await precomputed.chunk(
        volume, Self.kind(context), level: level, name: context.parameters.require("chunk"))
      if Self.isKnown(request, etag) { return Self.notModified(etag) }
      return Self.binary(bytes, request, etag: etag)
    }
  }

  private static func kind(_ context: Context) throws -> Precomputed.Kind {
    let name = try context.parameters.require("kind")
    guard let kind = Precomputed.Kind(name) else {
      throw WebError.notFound("there are image, segmentation and segmentation@OPERATION, not \(name)")
    }
    return kind
  }

  // MARK: Parameters

  private static func z(_ context: Context) throws -> Int32 {
    let text = try context.parameters.require("z")
    guard let z = Int32(text) else { throw WebError.badRequest("z is \(text), not a whole number") }
    return z
  }

  private static func integer(_ context: Context, _ name: String) throws -> Int {
    let text = try context.parameters.require(name)
    guard let number = Int(text), (0...1_000_000).contains(number) else {
      throw WebError.badRequest("\(name) is \(text), not a whole number from 0")
    }
    return number
  }

  private static func segment(_ context: Context) throws -> UInt64 {
    let text = try context.parameters.require("segment")
    guard let id = UInt64(text) else { throw WebError.badRequest("the segment is \(text), not a whole number") }
    return id
  }

  private static func layer(_ context: Context) throws -> Tiles.Layer {
    let name = try context.parameters.require("layer")
    switch name {
    case "image": return .image
    case "labels": return .labels
    case "affinity-z": return .affinities(axis: 0)
    case "affinity-y": return .affinities(axis: 1)
    case "affinity-x": return .affinities(axis: 2)
    default: throw WebError.notFound("there are the layers image, labels, affinity-z, affinity-y, affinity-x, not \(name)")
    }
  }

  private static func number(
    _ request: Request, _ name: String, default fallback: Int, in range: ClosedRange<Int>
  ) throws -> Int {
    guard let text = request.uri.queryParameters[name[...]] else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw WebError.badRequest("\(name) is \(text), not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// `?as_of=12`.
  private static func operation(_ request: Request) throws -> Int64? {
    guard let text = request.uri.queryParameters["as_of"] else { return nil }
    guard let number = Int64(text), number >= 0 else { throw WebError.badRequest("as_of is \(text), not an operation's number") }
    return number
  }

  // MARK: Answers

  private static func plain(_ text: String, _ status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  private static func isKnown(_ request: Request, _ etag: String) -> Bool {
    request.headers[.ifNoneMatch] == "\"\(etag)\""
  }

  private static func notModified(_ etag: String) -> Response {
    Response(status: .notModified, headers: [.eTag: "\"\(etag)\"", .cacheControl: "no-cache"])
  }

  /// Numbers, little-endian; compressed where the caller takes it.
  private static func binary(_ bytes: [UInt8], _ request: Request, etag: String?) -> Response {
    var headers: HTTPFields = [
      .contentType: "application/octet-stream", .cacheControl: etag == nil ? "no-store" : "no-cache",
      .vary: "Accept-Encoding",
    ]
    if let etag { headers[.eTag] = "\"\(etag)\"" }
    var body = bytes
    if request.headers[.acceptEncoding]?.contains("gzip") == true, bytes.count > 256,
      let packed = bytes.withUnsafeBytes({ Gzip.compressed($0) }), packed.count < bytes.count
    {
      body = packed
      headers[.contentEncoding] = "gzip"
    }
    return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }
}
