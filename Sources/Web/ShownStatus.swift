import DB
import Foundation
import Synchronization

/// What the daemon says of itself, without the volumes that this server's database role may not read.
final class ShownStatus: Sendable {
  private let read: @Sendable () -> DaemonStatus?
  /// Names of the volumes that may be read, as the database last said; none before it has.
  private let open = Mutex<Set<String>>([])

  init(_ read: @escaping @Sendable () -> DaemonStatus?) { self.read = read }

  /// Asks which volumes may be read, again and again until it is cancelled. Beside the requests: those for the status do not wait for a
  /// database that is away.
  func follow(_ pool: RecordPool) async {
    while !Task.isCancelled {
      if let names = try? await pool.read({ Set(try Catalogue.volumes($0).map(\.name)) }) { show(names) }
      try? await Task.sleep(for: .seconds(1))
    }
  }

  /// Tells which volumes may be read.
  func show(_ names: Set<String>) { open.withLock { $0 = names } }

  /// Nil while there is none. Of an alarm that names a closed volume the text is left out.
  var now: DaemonStatus? {
    guard var status = read() else { return nil }
    let closed = closed(status)
    status.volumes.removeAll { closed.contains($0) }
    for index in status.alarms.indices where closed.contains(where: { Self.names(status.alarms[index].text, $0) }) {
      status.alarms[index].text = "about a volume that is not shown here; `fgnetd status` says what"
    }
    return status
  }

  /// Whether a file belongs to a volume that is not shown.
  var hides: (_ path: String) -> Bool {
    let folders = (read().map(closed) ?? []).map { $0.folder.hasSuffix("/") ? $0.folder : $0.folder + "/" }
    return { path in folders.contains { path.hasPrefix($0) } }
  }

  private func closed(_ status: DaemonStatus) -> [DaemonStatus.Volume] {
    let open = open.withLock { $0 }
    return status.volumes.filter { !open.contains($0.name) }
  }

  /// Whether a text speaks of the volume: its folder, or its name as a word or a part of a path.
  private static func names(_ text: String, _ volume: DaemonStatus.Volume) -> Bool {
    text.contains(volume.folder)
      || text.split { !($0.isLetter || $0.isNumber || "_-.".contains($0)) }.contains { $0 == volume.name }
  }
}
