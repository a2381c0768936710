import DB
import Domain
import Foundation
import Logging
import Testing
import Volumes
import Web

@testable import Daemon

/// The pages' addresses on a volume that was really segmented.
@Suite struct WebServerTests {
  /// A finished volume, its daemon still open, and its server.
  private func serving(
    _ web: WebConfiguration = WebConfiguration(), size: Int = 300, revises: Bool = false, stages: String = "",
    _ body: (Bench, WebClient, WebServer) throws -> Void
  ) throws {
    let bench = try Bench(size: size, stages: stages)
    let inbox = Inbox()
    let core = try DaemonCore(configuration: bench.configuration, inbox: inbox, log: .silent)
    try core.open()
    defer { core.close() }
    inbox.offer(try [0, 1, 2, 4].map { try bench.write($0) })
    try core.run { true }
    try core.pipelines[0].declareMissing(3)
    try core.pipelines[0].finish(at: nil)
    try core.run { true }
    if revises {
      inbox.offer([try bench.write(2, as: "again-s2.png", like: 30)])
      try core.run { true }
    }
    var web = web
    web.port = 0
    let server = core.webServer(web)
    server.start()
    defer { server.stop() }
    try body(bench, WebClient(port: eventually { server.port }), server)
  }

  @Test func volumesAndSectionsAreToldOf() throws {
    try serving { bench, client, _ in
      for page in [
        "/", "/view", "/style.css", "/common.js", "/dashboard.js", "/view-data.js", "/view-draw.js", "/viewer.js",
        "/openapi.yaml",
      ] {
        let answer = try client.get(page)
        #expect(answer.status == 200 && answer.body.count > 200, "\(page)")
        #expect(answer.headers["content-security-policy"]?.contains("default-src 'self'") == true)
      }
      let volume = try client.get("/api/v1/volumes").array[0]
      #expect(volume["name"] as? String == "test" && volume["firstZ"] as? Int == 0 && volume["lastZ"] as? Int == 4)
      #expect(volume["voxelSizeNm"] as? [Double] == [30, 6, 6])
      #expect(try client.get("/api/v1/volumes/test/sections").object["states"] as? String == "fffmf")
      let section = try client.get("/api/v1/volumes/test/sections/2").object
      #expect(section["state"] as? String == "final" && section["height"] as? Int == 300)
      #expect(try client.get("/api/v1/volumes/test/sections/3").object["state"] as? String == "missing")
      #expect(section["levels"] as? Int == 2 && section["segmentation"] is Int && section["products"] is String)
      let rates = try client.get("/api/v1/volumes/test/rates?bucket_seconds=3600&buckets=2").object
      #expect((rates["received"] as? [Int])?.reduce(0, +) == 4 && (rates["segmented"] as? [Int])?.reduce(0, +) == 4)
      let events = try client.get("/api/v1/volumes/test/events-by-section").object
      let born = (events["sections"] as? [[String: Any]])?.reduce(0) { $0 + ($1["born"] as? Int ?? 0) }
      #expect(events["isComplete"] as? Bool == true)
      #expect(try String(born ?? -1) == bench.query("select count(*) from fgnet.lineage_event where event = 'born'"))
      let told = try eventually { try Self.volumes(client).first?["final"] as? Int }
      #expect(try client.get("/api/v1/status").object["state"] as? String == "running")
      #expect((try client.get("/api/v1/disk").object["free"] as? Int ?? 0) > 0)
      #expect(try client.get("/healthz").text == "ok\n")
      #expect(try client.get("/readyz").status == 200)
      let metrics = try client.get("/metrics").text
      #expect(metrics.contains("fgnetd_sections{volume=\"test\",state=\"final\"} \(told)\n"))
      #expect(metrics.contains("fgnetd_up 1\n"))
    }
  }

  @Test func tilesAndChunksAreTheSegmentsOfTheStore() throws {
    try serving { bench, client, _ in
      let wanted = try withSegmentedVolume(bench.configuration, "test") { segmented in
        try segmented.segments(segmented.section(2))
      }
      let table = try client.get("/api/v1/volumes/test/sections/2/segments").body
      #expect(table.count % 12 == 0)
      var found = Plane<UInt64>(height: 300, width: 300, repeating: 0)
      var image = Plane<UInt8>(height: 300, width: 300, repeating: 0)
      for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        guard let window = Pyramids.window(y, x, 300, 300) else { continue }
        let labels = try client.get("/api/v1/volumes/test/sections/2/tiles/labels/0/\(y)/\(x)").body
        #expect(labels.count == window.pixels * 4)
        let segments = labels.withUnsafeBytes { labels in
          table.withUnsafeBytes { table in
            (0..<window.pixels).map {
              let label = Int(labels.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))
              return table.loadUnaligned(fromByteOffset: 8 * label, as: UInt64.self)
            }
          }
        }
        found.replace(window, with: Plane(height: window.height, width: window.width, storage: segments))
        let pixels = try client.get("/api/v1/volumes/test/sections/2/tiles/image/0/\(y)/\(x)").body
        image.replace(window, with: Plane(height: window.height, width: window.width, storage: pixels))
        let chunk =
          "\(window.columns.lowerBound)-\(window.columns.upperBound)_"
          + "\(window.rows.lowerBound)-\(window.rows.upperBound)_2-3"
        #expect(try client.get("/precomputed/test/image/0/\(chunk)").body == pixels)
      }
      #expect(found == wanted)
      #expect(try image == bench.volume.section(2).image)
      let half = try client.get("/api/v1/volumes/test/sections/2/tiles/image/1/0/0").body
      #expect(half.count == 150 * 150)
      let four = [image[0, 0], image[0, 1], image[1, 0], image[1, 1]].reduce(0) { $0 + Int($1) }
      #expect(Int(half[0]) == (four + 2) / 4)
      let info = try client.get("/precomputed/test/segmentation/info").object
      let scales = info["scales"] as? [[String: Any]] ?? []
      #expect(info["data_type"] as? String == "uint64" && scales.count == 2)
      #expect(scales[0]["size"] as? [Int] == [300, 300, 5] && scales[1]["resolution"] as? [Double] == [12, 12, 30])
      // A missing section is black and without segments.
      #expect(try client.get("/precomputed/test/image/0/0-256_0-256_3-4").body.allSatisfy { $0 == 0 })
      // Before everything there were no segments.
      let before = try client.get("/api/v1/volumes/test/sections/2/segments?as_of=0").body
      #expect(before.allSatisfy { $0 == 0 })
      let id = wanted.storage.first { $0 != 0 } ?? 0
      let segment = try client.get("/api/v1/volumes/test/segments/\(id)").object
      #expect(segment["segmentId"] as? String == String(id) && segment["state"] as? String == "live")
      #expect(
        try String(segment["sizeVoxels"] as? Int ?? 0)
          == bench.query("select size_voxels from fgnet.segments where segment_id = \(id)"))
      let history = try client.get("/api/v1/volumes/test/segments/\(id)/history?limit=5000").array
      #expect(
        try String(history.count) == bench.query("select count(*) from fgnet.history('test', \(id))"))
      let properties = try client.get("/precomputed/test/segmentation/properties/info").object
      #expect(((properties["inline"] as? [String: Any])?["ids"] as? [String])?.contains(String(id)) == true)
    }
  }

  /// Of a section that was replaced: what it showed before, pixel by pixel, as SQL tells it.
  @Test func aPastMomentShowsWhatWasThere() throws {
    try serving(revises: true) { bench, client, _ in
      let moment = try bench.query("select fgnet.as_of('test', section => 4)")
      for query in ["", "?as_of=\(moment)"] {
        let section = try client.get("/api/v1/volumes/test/sections/2\(query)").object
        #expect(section["revision"] as? Int == 2)
        let operation = try #require(section["segmentation"] as? Int)
        let table = try client.get("/api/v1/volumes/test/sections/2/segments\(query)").body
        let labels = try client.get("/api/v1/volumes/test/sections/2/tiles/labels/0/0/0\(query)").body
        for (y, x) in [(0, 0), (20, 200), (128, 128), (255, 255), (200, 31), (77, 140)] {
          let label = labels.withUnsafeBytes {
            Int($0.loadUnaligned(fromByteOffset: 4 * (256 * y + x), as: UInt32.self))
          }
          let segment = table.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8 * label, as: UInt64.self) }
          let arguments = "'test', 2, \(y), \(x)" + (query.isEmpty ? "" : ", \(moment)")
          #expect(
            try bench.query("select coalesce(fgnet.segment_at(\(arguments)), 0)") == String(segment),
            "\(query) \(y) \(x)")
        }
        let tile = "/api/v1/volumes/test/sections/2/tiles/labels/0/0/0?segmentation="
        let moment = query.isEmpty ? "" : "&as_of=\(moment)"
        #expect(try client.get("\(tile)\(operation)\(moment)").body == labels)
        #expect(try client.get("\(tile)\(operation - 1)\(moment)").status == 409)
      }
      let now = try client.get("/precomputed/test/segmentation/0/0-256_0-256_2-3")
      let then = try client.get("/precomputed/test/segmentation@\(moment)/0/0-256_0-256_2-3")
      #expect(now.status == 200 && then.status == 200 && now.body != then.body)
    }
  }

  /// Each number of the coarse affinities as 2 x 2 pixels, at an odd size; halved, they are what is stored.
  @Test func coarseAffinitiesAreShownWhereTheyAreKept() throws {
    try serving(size: 301, stages: "    keep_coarse: true") { bench, client, _ in
      let section = try client.get("/api/v1/volumes/test/sections/2").object
      #expect(section["coarse"] as? Bool == true)
      let file = try #require(section["products"] as? String)
      let store = SectionStore(stateDirectory: bench.configuration.stateDirectory, volume: "test")
      let stored = try #require(try store.read(file, parts: [.affinities, .coarse]).affinities?.coarse)
      for (name, plane) in [("coarse-z", stored.z), ("coarse-y", stored.y), ("coarse-x", stored.x)] {
        let half = try client.get("/api/v1/volumes/test/sections/2/tiles/\(name)/1/0/0").body
        #expect(half == plane.storage && plane.height == 151)
        let corner = try client.get("/api/v1/volumes/test/sections/2/tiles/\(name)/0/1/1").body
        #expect(corner == (256..<301).flatMap { y in (256..<301).map { x in plane[y / 2, x / 2] } })
      }
    }
    try serving(size: 64) { _, client, _ in
      #expect(try client.get("/api/v1/volumes/test/sections/2").object["coarse"] as? Bool == false)
      let answer = try client.get("/api/v1/volumes/test/sections/2/tiles/coarse-y/0/0/0")
      #expect(answer.status == 404)
      #expect(answer.object["error"] as? String == "section 2 was made without coarse-y")
    }
  }

  /// Volumes of the status.
  private static func volumes(_ client: WebClient) throws -> [[String: Any]] {
    try client.get("/api/v1/status").object["volumes"] as? [[String: Any]] ?? []
  }

  @Test func closedVolumesAreNotShown() throws {
    try serving(size: 64) { bench, client, _ in
      _ = try bench.query(
        """
        insert into fgnet.quarantine (path, size, mtime_ns, reason) values ('\(bench.watched)/bad.tif', 1, 1, 'cut short')
        returning path
        """)
      let metric = "fgnetd_sections{volume=\"test\""
      #expect(try eventually { try client.get("/metrics").text.contains(metric) ? true : nil })
      #expect(try client.get("/api/v1/quarantine").array.count == 1)
      _ = try bench.query(
        "insert into fgnet.volume_access (volume_id, role_name) values (1, 'smith_lab') returning role_name")
      #expect(try eventually { try Self.volumes(client).isEmpty ? true : nil })
      #expect(try !client.get("/metrics").text.contains(metric))
      #expect(try client.get("/api/v1/quarantine").text == "[]")
      #expect(try client.get("/api/v1/volumes").text == "[]")
      #expect(try client.get("/api/v1/volumes/test").status == 404)
      #expect(try client.get("/precomputed/test/image/info").status == 404)
      #expect(try client.get("/api/v1/volumes/test/sections/0/tiles/image/0/0/0").status == 404)
    }
  }

  @Test func aClientOfNeuroglancerIsServedFromItsFolder() throws {
    let folder = try ScratchFolder()
    let secret = try folder.write("secret", "secret")
    let client = folder.path + "/client"
    try FileManager.default.createDirectory(atPath: client, withIntermediateDirectories: true)
    try Data("<!doctype html>".utf8).write(to: URL(fileURLWithPath: client + "/index.html"))
    try Data("let x".utf8).write(to: URL(fileURLWithPath: client + "/main.js"))
    try FileManager.default.createSymbolicLink(atPath: client + "/link.js", withDestinationPath: secret)
    var web = WebConfiguration()
    web.neuroglancerFolder = client
    defer { withExtendedLifetime(folder) {} }
    try serving(web, size: 64) { _, client, _ in
      let viewer = try client.get("/api/v1/viewer").object
      #expect(viewer["neuroglancer"] as? String == "/neuroglancer/")
      for path in ["/neuroglancer/", "/neuroglancer/index.html"] {
        #expect(try client.get(path).headers["content-type"] == "text/html; charset=utf-8", "\(path)")
      }
      #expect(try client.get("/neuroglancer/main.js").text == "let x")
      for path in ["link.js", "../secret", "..%2fsecret", "none.js", "%00", ".hidden", "//etc/passwd"] {
        #expect(try client.get("/neuroglancer/" + path).status == 404, "\(path)")
      }
    }
  }

  @Test func answersAreKeptAndPacked() throws {
    try serving { _, client, _ in
      let path = "/api/v1/volumes/test/sections/1/tiles/labels/0/0/0"
      let plain = try client.get(path)
      let tag = try #require(plain.headers["etag"])
      #expect(try client.get(path, ["If-None-Match": tag]).status == 304)
      let packed = try client.get(path, ["Accept-Encoding": "gzip"])
      #expect(packed.headers["content-encoding"] == "gzip" && packed.body.prefix(2) == [0x1F, 0x8B])
      #expect(packed.body.count < plain.body.count / 4)
      #expect(try client.get(path, method: "HEAD").status == 200)
    }
  }

  @Test func wrongRequestsGetASentence() throws {
    try serving { _, client, _ in
      for (path, status) in [
        ("/api/v1/volumes/none", 404), ("/api/v1/volumes/test/sections/77", 404),
        ("/api/v1/volumes/test/sections/x", 400),
        ("/api/v1/volumes/test/sections/1/tiles/labels/0/9/0", 404),
        ("/api/v1/volumes/test/sections/1/tiles/labels/5/0/0", 404),
        ("/api/v1/volumes/test/sections/1/tiles/labels/0/0/0?as_of=0", 404),
        ("/api/v1/volumes/test/segments/1?as_of=99999999999999999999", 400),
        ("/api/v1/volumes/test/sections/200000", 400), ("/api/v1/volumes/test/segments/9999999999999999999", 404),
        ("/api/v1/volumes/test/sections/1/tiles/labels/-1/0/0", 400),
        ("/api/v1/volumes/test/sections/1/tiles/x/0/0/0", 404),
        ("/api/v1/volumes/test/sections/3/tiles/image/0/0/0", 404), ("/api/v1/volumes/test/segments/12", 404),
        ("/api/v1/volumes/test/segments/12/history", 400),
        ("/api/v1/volumes/test/segments/99999999999999999999999", 400),
        ("/api/v1/volumes/test/rates?buckets=0", 400),
        ("/api/v1/volumes/test/sections/1/segments?as_of=-1", 400), ("/precomputed/test/images/info", 404),
        ("/precomputed/test/image/0/0-255_0-256_0-1", 404), ("/precomputed/test/image/9/0-256_0-256_0-1", 404),
      ] {
        let answer = try client.get(path)
        #expect(answer.status == status, "\(path)")
        #expect((answer.object["error"] as? String)?.isEmpty == false, "\(path)")
      }
      for path in ["/nothing", "/../etc/passwd", "/%00", "/api/v1/volumes/%ff/sections", "/api/v1/volumes/a%2F..%2Fb"] {
        #expect(try client.get(path).status == 404, "\(path)")
      }
      #expect(try client.get("/api/v1/volumes", method: "POST").status == 405)
      #expect(try client.get("/api/v1/volumes", ["Host": "evil.example"]).status == 421)
      // Refused with an answer, or closed before it could be read.
      let long = try? client.get("/api/v1/volumes", ["X-Long": String(repeating: "x", count: 200_000)])
      #expect((long?.status ?? 400) >= 400)
      #expect(try client.get("/healthz").status == 200)
    }
  }

  @Test func aTokenIsAskedFor() throws {
    var web = WebConfiguration()
    web.token = "0123456789abcdef0123"
    try serving(web, size: 64) { _, client, _ in
      #expect(try client.get("/api/v1/volumes").status == 401)
      #expect(try client.get("/").status == 401)
      #expect(try client.get("/metrics").status == 401)
      #expect(try client.get("/healthz").status == 200)
      #expect(try client.get("/api/v1/volumes", ["Authorization": "Bearer 0123456789abcdef0124"]).status == 401)
      #expect(try client.get("/api/v1/volumes", ["Authorization": "Bearer 0123456789abcdef0123"]).status == 200)
      let entrance = try client.get("/view?token=0123456789abcdef0123")
      #expect(entrance.status == 303 && entrance.headers["location"] == "/view")
      let cookie = try #require(entrance.headers["set-cookie"])
      #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
      #expect(try client.get("/view", ["Cookie": "a=b; " + cookie.prefix { $0 != ";" }]).status == 200)
    }
  }

  @Test func theStatusIsStreamedAndLimitsHold() throws {
    var web = WebConfiguration()
    web.rate = 5
    try serving(web, size: 64) { _, client, server in
      let bytes = try client.raw("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", most: 800)
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.contains("text/event-stream") && text.contains("event: status") && text.contains("data: "))
      var statuses: Set<Int> = []
      for _ in 0..<30 { statuses.insert(try client.get("/api/v1/disk").status) }
      #expect(statuses == [200, 429])
      usleep(1_100_000)
      #expect(try client.get("/api/v1/disk").status == 200)
      server.stop()
      #expect(throws: WebClient.Failure.self) { try client.get("/healthz") }
    }
  }

  @Test func aDatabaseThatIsAwayIsToldAndComesBack() throws {
    try serving(size: 64) { bench, client, _ in
      #expect(try client.get("/api/v1/volumes").status == 200)
      let cluster = EmbeddedCluster(directory: bench.configuration.stateDirectory + "/postgres")
      try cluster.stop()
      for path in ["/api/v1/volumes", "/api/v1/volumes/test/sections/0/tiles/image/0/0/0"] {
        let answer = try client.get(path)
        #expect(answer.status == 503 && answer.headers["retry-after"] == "1", "\(path)")
        #expect((answer.object["error"] as? String)?.contains("PostgreSQL") == true, "\(path)")
      }
      #expect(try client.get("/healthz").status == 200)
      try cluster.start()
      #expect(try client.get("/api/v1/volumes").status == 200)
    }
  }

  @Test func aPortOfAnotherProgramIsWaitedForAndToldOnce() throws {
    let bench = try Bench(size: 64)
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isTaken = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && listen(socket, 1) == 0 && getsockname(socket, $0, &length) == 0
      }
    }
    #expect(isTaken)
    var web = WebConfiguration()
    web.port = Int(UInt16(bigEndian: address.sin_port))
    let journal = Journal()
    let log = Logger(label: "test") { _ in ReloadTests.Lines(journal: journal) }
    let core = try DaemonCore(configuration: bench.configuration, inbox: Inbox(), log: log)
    let server = core.webServer(web)
    server.start()
    defer { server.stop() }
    let told = try eventually { journal.all.first }
    #expect(told.contains("http: 127.0.0.1 port \(web.port) cannot be listened to") && !told.contains("\n"))
    close(socket)
    try eventually { server.port.map { #expect($0 == web.port) } }
    #expect(journal.all.filter { $0.contains("cannot be listened to") }.count == 1)
  }

  @Test func itsMemoryIsTakenFromTheLimit() throws {
    func limit(_ memory: String, _ http: String) throws -> Int {
      try DaemonConfiguration.parse(
        "state_directory: /tmp/x\nvolumes:\n  - {name: a, folder: /tmp}\nmemory_limit: \(memory)\nhttp: {\(http)}\n",
        path: "test"
      ).memoryLimit
    }
    #expect(try limit("2GiB", "enabled: false") == 2 << 30)
    #expect(try limit("2GiB", "enabled: true, cache: 100MiB") == (2 << 30) - (196 << 20))
    #expect(throws: ConfigurationError.self) { try limit("600MiB", "enabled: true, cache: 100MiB") }
  }

  @Test func anUnsafeAddressIsRefused() throws {
    func faults(_ http: String) -> String {
      do {
        _ = try DaemonConfiguration.parse(
          "state_directory: /tmp/x\nvolumes:\n  - {name: a, folder: /tmp}\nhttp: {\(http)}\n", path: "test")
        return ""
      } catch { return "\(error)" }
    }
    #expect(faults("enabled: true").isEmpty)
    #expect(faults("enabled: true, host: 0.0.0.0").contains("set http.token_file"))
    #expect(faults("enabled: true, host: 0.0.0.0").contains("http.behind_proxy"))
    #expect(faults("enabled: true, token_file: /no/such").contains("cannot be read"))
    #expect(faults("enabled: true, neuroglancer: \"ftp://x\"").contains("https://"))
    #expect(faults("enabled: true, neuroglancer: /no/such").contains("there is no /no/such/index.html"))
    #expect(faults("enabled: true, allowed_origin: \"https://a.example/b\"").contains("without a path"))
    #expect(faults("enabled: true, allowed_origin: \"https://a.example\"").isEmpty)
    #expect(faults("enabled: true, prot: 1").contains("did you mean port?"))
    let folder = try ScratchFolder()
    defer { withExtendedLifetime(folder) {} }
    let file = try folder.write("0123456789abcdef\n", "token")
    chmod(file, 0o644)
    #expect(faults("enabled: true, token_file: \(file)").contains("chmod 640"))
    chmod(file, 0o600)
    #expect(faults("enabled: true, host: 0.0.0.0, behind_proxy: true, token_file: \(file)").isEmpty)
  }
}

/// As the server cuts them.
private enum Pyramids {
  static func window(_ y: Int, _ x: Int, _ height: Int, _ width: Int) -> PlaneWindow? {
    PlaneWindow(rows: y * 256..<min((y + 1) * 256, height), columns: x * 256..<min((x + 1) * 256, width))
  }
}
