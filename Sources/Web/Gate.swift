import Hummingbird
import Logging
import Synchronization
import Volumes

/// What every request passes: the token, limits of rate and number, and the headers of every answer.
struct Gate<Context: RequestContext>: RouterMiddleware {
  let configuration: WebConfiguration
  let meter: Meter

  /// Requests, counted.
  final class Meter: Sendable {
    struct Counts: Sendable {
      var current = 0
      /// Answers that go on: pages that follow the status.
      var streams = 0
      var served = 0
      var refused = 0
      var failed = 0
      /// Second of the clock and the requests in it.
      var second: Int64 = 0
      var inSecond = 0
    }
    private let counts = Mutex(Counts())
    var now: Counts { counts.withLock { $0 } }

    /// Whether there is room for one more.
    func enter(limit: Int, rate: Int) -> Bool {
      let second = ContinuousClock.now.seconds
      return counts.withLock { counts in
        if counts.second != second { (counts.second, counts.inSecond) = (second, 0) }
        guard counts.current < limit, counts.inSecond < rate else {
          counts.refused += 1
          return false
        }
        counts.current += 1
        counts.inSecond += 1
        return true
      }
    }

    func beginStream() { counts.withLock { $0.streams += 1 } }
    func endStream() { counts.withLock { $0.streams -= 1 } }

    func leave(failed: Bool) {
      counts.withLock { counts in
        counts.current -= 1
        counts.served += 1
        if failed { counts.failed += 1 }
      }
    }
  }

  private static var policy: String {
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
  }
  /// Neuroglancer's client brings its styles with it and runs WebAssembly in workers; it reads from here only.
  private static var clientPolicy: String {
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
      + "img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
  }
  /// Answers without a token: they say nothing of the volumes.
  private static var open: Set<String> { ["/healthz", "/readyz"] }
  static var cookie: String { "fgnetd_token" }

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    var response = try await answered(request, context, next)
    response.headers[.contentSecurityPolicy] =
      request.uri.path.hasPrefix("/neuroglancer/") ? Self.clientPolicy : Self.policy
    response.headers[.xContentTypeOptions] = "nosniff"
    if let name = HTTPFields.Element.Name("Referrer-Policy") { response.headers[name] = "no-referrer" }
    if let origin = configuration.allowedOrigin {
      response.headers[.accessControlAllowOrigin] = origin
      if origin != "*" { response.headers[.vary] = (response.headers[.vary].map { $0 + ", " } ?? "") + "Origin" }
    }
    return response
  }

  private func answered(
    _ request: Request, _ context: Context, _ next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    if request.method == .options, configuration.allowedOrigin != nil {
      return Response(
        status: .noContent,
        headers: [.accessControlAllowMethods: "GET, HEAD", .accessControlAllowHeaders: "Authorization, Range"])
    }
    guard request.method == .get || request.method == .head else {
      return try refusal(.methodNotAllowed, "only GET and HEAD: nothing is changed over HTTP", request, context)
    }
    // Else a page of the web whose name leads to this computer could read what only this computer may (DNS rebinding).
    if configuration.isLoopback, !configuration.isBehindProxy, !Self.isLocal(request.head.authority) {
      return try refusal(.misdirectedRequest, "asked for under a name that is not this computer's", request, context)
    }
    if let token = configuration.token, !Self.open.contains(request.uri.path) {
      if let given = request.uri.queryParameters["token"], Self.equal(String(given), token) {
        return entrance(request, token)
      }
      guard let given = Self.token(of: request), Self.equal(given, token) else {
        return try refusal(
          .unauthorized, "a token is needed: `Authorization: Bearer TOKEN`, or open /?token=TOKEN once", request,
          context)
      }
    }
    guard meter.enter(limit: configuration.concurrency, rate: configuration.rate) else {
      return try refusal(.tooManyRequests, "too many requests at once; come again", request, context)
    }
    do {
      let response = try await next(request, context)
      meter.leave(failed: response.status.kind == .serverError)
      return response
    } catch let error as WebError {
      meter.leave(failed: error.status.kind == .serverError)
      return try error.response(from: request, context: context)
    } catch let error as any HTTPResponseError {
      meter.leave(failed: error.status.kind == .serverError)
      let reason =
        error.status == .notFound ? "there is nothing at this address; /openapi.yaml says what there is" : "\(error)"
      return try refusal(error.status, reason, request, context)
    } catch is CancellationError {
      meter.leave(failed: false)
      throw CancellationError()
    } catch let error as VolumeError {
      // Files of replaced revisions are removed while they are read.
      meter.leave(failed: true)
      return try refusal(.serviceUnavailable, "\(error)", request, context)
    } catch {
      meter.leave(failed: true)
      context.logger.warning("GET \(request.uri.path): \(error)")
      return try refusal(.internalServerError, "\(error)", request, context)
    }
  }

  private func refusal(
    _ status: HTTPResponse.Status, _ reason: String, _ request: Request, _ context: Context
  ) throws -> Response {
    try WebError(status: status, reason: reason).response(from: request, context: context)
  }

  /// A browser that brings the token in the address gets it as a cookie, and the address without it.
  private func entrance(_ request: Request, _ token: String) -> Response {
    let secure = configuration.isBehindProxy ? "; Secure" : ""
    return Response(
      status: .seeOther,
      headers: [
        // One slash: two would name another host.
        .location: "/" + request.uri.path.drop { $0 == "/" },
        .setCookie: "\(Self.cookie)=\(token); HttpOnly; SameSite=Strict; Path=/\(secure)",
        .cacheControl: "no-store",
      ])
  }

  private static func isLocal(_ authority: String?) -> Bool {
    guard let authority else { return true }
    if authority.hasPrefix("[::1]") { return true }
    let host = authority.split(separator: ":").first.map(String.init) ?? ""
    return host == "localhost" || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
  }

  private static func token(of request: Request) -> String? {
    if let header = request.headers[.authorization] {
      let parts = header.split(separator: " ", maxSplits: 1)
      return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
    }
    for pair in (request.headers[.cookie] ?? "").split(separator: ";") {
      let parts = pair.split(separator: "=", maxSplits: 1)
      if parts.count == 2, parts[0].filter({ $0 != " " }) == cookie { return String(parts[1]) }
    }
    return nil
  }

  /// In a time that does not tell where they differ.
  private static func equal(_ one: String, _ other: String) -> Bool {
    let (one, other) = (Array(one.utf8), Array(other.utf8))
    var difference = one.count == other.count ? 0 : 1
    for (index, byte) in other.enumerated() {
      difference |= Int(byte ^ (index < one.count ? one[index] : 0))
    }
    return difference == 0
  }
}

extension ContinuousClock.Instant {
  /// Whole seconds since an arbitrary moment.
  var seconds: Int64 { Self.origin.duration(to: self).components.seconds }
  private static let origin = ContinuousClock.now
}
