import Foundation
import Logging

/// Writes one line per message to standard error: with journald's `<N>` priority under systemd, plain on a terminal.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info
  let forJournal: Bool

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var line = forJournal ? "<\(priority(event.level))>" : "\(timeStamp()) \(event.level) "
    line += "\(event.message)"
    let all = self.metadata.merging(event.metadata ?? [:]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
    // Whatever is in a file's name, a message is one line, and no command to a terminal.
    let bytes = line.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
    FileHandle.standardError.write(Data(bytes + [UInt8(ascii: "\n")]))
  }

  private func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }

  private func timeStamp() -> String {
    var now = time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let length = strftime(&text, text.count, "%H:%M:%S", &parts)
    return String(decoding: text[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

extension Logger {
  /// The program's logger. `quiet` keeps warnings and worse.
  static func program(quiet: Bool = false) -> Logger {
    let forJournal = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
    var logger = Logger(label: "fgnetd") { _ in LineLogHandler(forJournal: forJournal) }
    logger.logLevel = quiet ? .warning : .info
    return logger
  }
}
