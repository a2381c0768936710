internal import Foundation

/// The value of an `architecture` attribute.
/// - Throws: `badArchitecture`, naming `source` and the first key that is missing or has the wrong type.
func decode<T: Decodable>(_ type: T.Type, json: String, source: String) throws(KernelError) -> T {
  do {
    return try JSONDecoder().decode(type, from: Data(json.utf8))
  } catch {
    throw .badArchitecture(source: source, reason: reason(error))
  }
}

private func reason(_ error: any Error) -> String {
  guard let error = error as? DecodingError else { return "\(error)" }
  func path(_ keys: [any CodingKey]) -> String { keys.map(\.stringValue).joined(separator: ".") }
  switch error {
  case .keyNotFound(let key, let context): return "no \(path(context.codingPath + [key]))"
  case .typeMismatch(_, let context), .valueNotFound(_, let context):
    return "\(path(context.codingPath)) has the wrong type"
  default: return "it is not JSON"
  }
}
