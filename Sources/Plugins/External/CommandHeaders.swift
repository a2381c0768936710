import Domain
import Foundation

/// The lines of JSON that go before the arrays of a message (docs/writing-a-stage.md, "The protocol").
enum CommandHeaders {
  static let version = 1
  /// Bytes of the longest line a program may answer.
  static let longest = 1 << 20

  static func request(_ kind: String, _ members: [String: Any] = [:], arrays: [StageArray] = []) -> [UInt8] {
    var object = members
    object["request"] = kind
    object["arrays"] = arrays.map(\.header)
    guard let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]) else {
      preconditionFailure("a request \(kind) is not JSON")
    }
    return Array(data) + [UInt8(ascii: "\n")]
  }

  /// The object of a line.
  /// - Throws: a sentence.
  static func object(_ line: ArraySlice<UInt8>) throws(CommandFault) -> [String: Any] {
    guard let any = try? JSONSerialization.jsonObject(with: Data(line)), let object = any as? [String: Any] else {
      throw CommandFault(
        "it answered \(shown(line)) where a line of JSON belongs; nothing but answers may go to its output")
    }
    return object
  }

  /// The reason a program gives for not doing what it was asked; nil if it did it.
  static func refusal(_ object: [String: Any]) -> String? {
    guard let error = object["error"] else { return nil }
    return readable(error as? String ?? "an error that is no text")
  }

  /// Checks that the answer has the expected arrays, in their order.
  /// - Returns: the type of each.
  static func check(
    _ object: [String: Any], expected: [ExpectedArray]
  ) throws(CommandFault) -> [StageNumber] {
    guard let arrays = object["arrays"] as? [[String: Any]] else {
      throw CommandFault("its answer has no list of arrays")
    }
    guard arrays.count == expected.count else {
      throw CommandFault(
        "it answered \(arrays.count) arrays where \(expected.map(\.name).joined(separator: ", ")) "
          + (expected.count == 1 ? "is" : "are") + " expected")
    }
    var types: [StageNumber] = []
    for (array, expected) in zip(arrays, expected) {
      guard array["name"] as? String == expected.name else {
        throw CommandFault(
          "its answer has an array \(readable("\(array["name"] ?? "without a name")")) instead of \(expected.name)")
      }
      guard let type = (array["dtype"] as? String).flatMap(StageNumber.init), expected.numbers.contains(type) else {
        let names = expected.numbers.map(\.rawValue).joined(separator: " or ")
        throw CommandFault(
          "its array \(expected.name) has the dtype \(readable("\(array["dtype"] ?? "none")")) instead of \(names)")
      }
      guard let shape = array["shape"] as? [Int], shape == expected.shape else {
        throw CommandFault(
          "its array \(expected.name) has the shape \(readable("\(array["shape"] ?? "none")")) instead of \(expected.shape)"
        )
      }
      types.append(type)
    }
    return types
  }

  /// Bytes of a stage as text for people: one line, no control characters, not too long.
  static func shown(_ bytes: some Collection<UInt8>) -> String {
    "\"" + readable(String(decoding: bytes, as: UTF8.self)) + "\""
  }

  static func readable(_ text: String, longest: Int = 300) -> String {
    let clean = text.unicodeScalars.prefix(longest).map { scalar -> Character in
      scalar.properties.generalCategory == .control ? " " : Character(scalar)
    }
    let line = String(clean).split(separator: " ").joined(separator: " ")
    return text.unicodeScalars.count > longest ? line + "..." : line
  }
}

/// What a program did wrong, in a sentence about "it".
struct CommandFault: Error {
  var reason: String
  init(_ reason: String) { self.reason = reason }
}
