/// How the daemon is seen over HTTP.
public struct WebConfiguration: Sendable, Equatable {
  /// Address it listens on; by default only this computer can reach it.
  public var host = "127.0.0.1"
  public var port = 8480
  /// What a caller must know; nil: nothing, which `faults` allows on loopback only.
  public var token: String?
  /// A reverse proxy in front speaks TLS with the world.
  public var isBehindProxy = false
  /// Address of a Neuroglancer, for the dashboard's link; nil: the public one, unless there is a folder.
  public var neuroglancer: String?
  /// Folder with a built Neuroglancer client, served at `/neuroglancer/`.
  public var neuroglancerFolder: String?
  /// Other web pages that may read (CORS); `*`: any.
  public var allowedOrigin: String?
  /// Requests at a time; more are told to come again.
  public var concurrency = 32
  /// Requests a second, over all callers, that are answered.
  public var rate = 1000
  /// Bytes of tiles kept.
  public var cache = 128 << 20

  public init() {}

  /// What the dashboard's link leads to.
  var viewerAddress: String {
    neuroglancer ?? (neuroglancerFolder == nil ? "https://neuroglancer-demo.appspot.com/" : "/neuroglancer/")
  }

  /// Bytes that it takes at most: tiles, and what is at work and on its way.
  public var memory: Int { cache + (96 << 20) }

  /// Whether only programs of this computer can connect.
  public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

  /// What is not safe about it, a sentence each.
  public var faults: [String] {
    var faults: [String] = []
    if !isLoopback, token == nil {
      faults.append(
        "http.host \(host) can be reached from other computers: set http.token_file, or listen on 127.0.0.1")
    }
    if !isLoopback, !isBehindProxy {
      faults.append(
        "http.host \(host) would send the token in the clear: put a reverse proxy with TLS in front (docs/http.md) and "
          + "set http.behind_proxy: true, or listen on 127.0.0.1")
    }
    if let token, token.utf8.count < 16 { faults.append("http.token_file holds a token of less than 16 characters") }
    return faults
  }
}
