import Hummingbird

/// Why a request is not answered, in a sentence for the caller.
struct WebError: Error, HTTPResponseError {
  var status: HTTPResponse.Status
  var reason: String

  static func notFound(_ reason: String) -> WebError { WebError(status: .notFound, reason: reason) }
  static func badRequest(_ reason: String) -> WebError { WebError(status: .badRequest, reason: reason) }
  static func unavailable(_ reason: String) -> WebError { WebError(status: .serviceUnavailable, reason: reason) }

  struct Body: Encodable {
    var error: String
  }

  func response(from request: Request, context: some RequestContext) throws -> Response {
    var response = try JSON.response(JSON.data(Body(error: reason)))
    response.status = status
    if status == .serviceUnavailable || status == .tooManyRequests { response.headers[.retryAfter] = "1" }
    return response
  }
}
