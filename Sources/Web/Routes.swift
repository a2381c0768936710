import DB
import Domain
import Foundation
import Hummingbird

/// Every address that is answered; `Pages/openapi.yaml` says the same for callers.
struct Routes: Sendable {
  typealias Context = BasicRequestContext

  let configuration: WebConfiguration
  let source: WebServer.Source
  let status: ShownStatus
  let catalogue: Catalogue
  let tiles: Tiles
  let precomputed: Precomputed
  let history = EventHistory()
  let meter = Gate<Context>.Meter()

  init(_ configuration: WebConfiguration, _ source: WebServer.Source, _ pool: RecordPool) {
    self.configuration = configuration
    self.source = source
    status = ShownStatus(source.status)
    catalogue = Catalogue(pool: pool, folder: source.folder, cache: configuration.cache / 8)
    tiles = Tiles(cache: configuration.cache / 8 * 7)
    precomputed = Precomputed(catalogue: catalogue, tiles: tiles)
  }

  func router() -> Router<Context> {
    let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: Gate(configuration: configuration, meter: meter))
    for file in Pages.files {
      router.get(file.path) { _, _ in
        Response(
          status: .ok, headers: [.contentType: file.type, .cacheControl: "no-cache"],
          body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
      }
    }
    if let folder = configuration.neuroglancerFolder {
      let client = StaticFolder(folder)
      router.get("/neuroglancer") { [catalogue] request, _ in
        // Its page names its parts relative to itself.
        guard request.uri.path.hasSuffix("/") else {
          return Response(status: .movedPermanently, headers: [.location: "/neuroglancer/"])
        }
        return try await catalogue.pool.run { try client.response("") }
      }
      router.get("/neuroglancer/**") { [catalogue] _, context in
        let path = context.parameters.getCatchAll().joined(separator: "/")
        return try await catalogue.pool.run { try client.response(path) }
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
      let status = status.now
      guard Metrics.isFresh(status) else {
        return Self.plain("the daemon has not told its state for a minute\n", .serviceUnavailable)
      }
      if status?.alarms.contains(where: { $0.kind == "database" }) == true {
        return Self.plain("the database does not answer\n", .serviceUnavailable)
      }
      return Self.plain("ready\n")
    }
    router.get("/metrics") { [self] _, _ in
      let now = meter.now
      let metrics = Metrics(
        status.now, requests: (now.served, now.refused, now.failed), cacheBytes: tiles.bytesInUse,
        stateDirectory: source.stateDirectory)
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text)))
    }
    router.get("/api/v1/status") { [self] _, _ in
      guard let status = status.now else { throw WebError.unavailable("the daemon has not told its state yet") }
      return try JSON.response(JSON.data(status))
    }
    router.get("/api/v1/disk") { [self] _, _ in
      guard let disk = Disk(source.stateDirectory) else {
        throw WebError.unavailable("the state directory is not there")
      }
      return try JSON.response(JSON.data(disk))
    }
    router.get("/api/v1/viewer") { [self] _, _ in
      try JSON.response(JSON.data(["neuroglancer": configuration.viewerAddress]))
    }
    router.get("/api/v1/events") { [self] _, _ in try events() }
  }

  /// Server-sent events: the status whenever it changes.
  private func events() throws -> Response {
    guard meter.now.streams < configuration.concurrency else {
      throw WebError(status: .tooManyRequests, reason: "too many pages are open that follow the status")
    }
    return Response(
      status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
      body: ResponseBody { [status, meter] writer in
        meter.beginStream()
        defer { meter.endStream() }
        var last: DaemonStatus?
        var silent = 0
        while !Task.isCancelled {
          let now = status.now
          if let now, now != last {
            last = now
            silent = 0
            let json = String(decoding: try JSON.data(now), as: UTF8.self)
            try await writer.write(ByteBuffer(string: "event: status\ndata: \(json)\n\n"))
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
      try await JSON.response(
        catalogue.pool.read { record in
          try JSON.data(Catalogue.volumes(record).map { try VolumeQueries.volume(record, $0) })
        })
    }
    group.get("/quarantine") { [self] _, _ in
      try await JSON.response(
        catalogue.pool.read { try JSON.data(VolumeQueries.quarantine($0, hidden: status.hides)) })
    }
    answer(group, "/volumes/:volume") { record, volume, _, _ in try VolumeQueries.volume(record, volume) }
    answer(group, "/volumes/:volume/sections") { record, volume, _, _ in try VolumeQueries.strip(record, volume) }
    answer(group, "/volumes/:volume/rates") { record, volume, request, _ in
      let seconds = try Self.number(request, "bucket_seconds", default: 300, in: 1...86400)
      let buckets = try Self.number(request, "buckets", default: 48, in: 1...500)
      return try VolumeQueries.rates(record, volume, bucketSeconds: seconds, buckets: buckets)
    }
    answer(group, "/volumes/:volume/events-by-section") { [history] record, volume, _, _ in
      try history.counts(record, volume: volume.id)
    }
    answer(group, "/volumes/:volume/segments/:segment") { record, volume, request, context in
      try VolumeQueries.segment(record, volume, Self.segment(context), asOf: Self.operation(request, "as_of"))
    }
    answer(group, "/volumes/:volume/segments/:segment/history") { record, volume, request, context in
      let limit = try Self.number(request, "limit", default: 200, in: 1...5000)
      return try VolumeQueries.history(
        record, volume, Self.segment(context), asOf: Self.operation(request, "as_of"), limit: limit)
    }
    answer(group, "/volumes/:volume/sections/:z") { [catalogue] record, volume, request, context in
      try VolumeQueries.section(
        record, volume, Self.z(context), asOf: Self.operation(request, "as_of"), store: catalogue.store(volume.name))
    }
  }

  /// A GET that is answered by a query about one volume, in JSON.
  private func answer<T: Encodable & Sendable>(
    _ group: RouterGroup<Context>, _ path: RouterPath,
    _ body: @escaping @Sendable (Record, VolumeRow, Request, Context) throws -> T
  ) {
    group.get(path) { [catalogue] request, context in
      let name = try context.parameters.require("volume")
      return try await JSON.response(
        catalogue.pool.read { record in
          try JSON.data(body(record, Catalogue.volume(record, name), request, context))
        })
    }
  }

  private static func plain(_ text: String, _ status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  // MARK: Parameters

  static func z(_ context: Context) throws -> SectionNumber {
    let text = try context.parameters.require("z")
    guard let z = SectionNumber(text), (-131_072...131_071).contains(z) else {
      throw WebError.badRequest("z is \(text), not a whole number from -131072 to 131071")
    }
    return z
  }

  static func integer(_ context: Context, _ name: String) throws -> Int {
    let text = try context.parameters.require(name)
    guard let number = Int(text), (0...1_000_000).contains(number) else {
      throw WebError.badRequest("\(name) is \(text), not a whole number from 0 to 1000000")
    }
    return number
  }

  private static func segment(_ context: Context) throws -> UInt64 {
    let text = try context.parameters.require("segment")
    guard let segment = UInt64(text), segment > 0 else {
      throw WebError.badRequest("the segment is \(text), not a whole number above 0")
    }
    return segment
  }

  private static func number(
    _ request: Request, _ name: String, default fallback: Int, in range: ClosedRange<Int>
  ) throws -> Int {
    guard let text = request.uri.queryParameters[name[...]] else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw WebError.badRequest(
        "\(name) is \(text), not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// `?as_of=12`.
  static func operation(_ request: Request, _ name: String) throws -> Int64? {
    guard let text = request.uri.queryParameters[name[...]] else { return nil }
    guard let number = Int64(text), number >= 0 else {
      throw WebError.badRequest("\(name) is \(text), not an operation's number")
    }
    return number
  }
}
