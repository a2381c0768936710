import Foundation

/// What `/metrics` and `/readyz` take from the daemon's `status.json`.
struct StatusView: Decodable {
  struct Alarm: Decodable {
    var kind: String
  }
  struct Stage: Decodable {
    var name: String
    var seconds: Double
    var share: Double
  }
  struct Activity: Decodable {
    var sectionsPerHour: Double
    var keepsUp: Bool
    var waiting: Int
    var stages: [Stage]
  }
  struct Volume: Decodable {
    var name: String
    var received: Int
    var provisional: Int
    var final: Int
    var missing: Int
    var sectionsSetAside: Int
    var awaitedCount: Int
    var activity: Activity
  }
  var startedAt: Date
  var writtenAt: Date
  var state: String
  var waitingFiles: Int
  var setAside: Int
  var alarms: [Alarm]
  var volumes: [Volume]

  init?(_ data: Data?) {
    guard let data else { return nil }
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    guard let found = try? decoder.decode(StatusView.self, from: data) else { return nil }
    self = found
  }
}
