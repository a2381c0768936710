public import Foundation
import Hummingbird
public import Logging
import NIOPosix
import Synchronization

/// The daemon's face over HTTP: dashboard, sections, Neuroglancer, metrics. It reads the record and the store by connections and
/// threads of its own, and changes nothing.
public final class WebServer: Sendable {
  /// What it shows.
  public struct Source: Sendable {
    /// For libpq.
    public var conninfo: String
    public var stateDirectory: String
    /// Folder of a volume's section files, by name.
    public var folder: @Sendable (String) -> String
    /// The daemon's `status.json`; nil while there is none.
    public var status: @Sendable () -> Data?
    public init(
      conninfo: String, stateDirectory: String, folder: @escaping @Sendable (String) -> String,
      status: @escaping @Sendable () -> Data?
    ) {
      self.conninfo = conninfo
      self.stateDirectory = stateDirectory
      self.folder = folder
      self.status = status
    }
  }

  private let configuration: WebConfiguration
  private let source: Source
  private let log: Logger
  private let task = Mutex<Task<Void, Never>?>(nil)
  private let boundPort = Mutex<Int?>(nil)

  /// Nothing is listened to before `start`.
  public init(_ configuration: WebConfiguration, source: Source, log: Logger) {
    self.configuration = configuration
    self.source = source
    self.log = log
  }

  /// The port it listens on, once it does.
  public var port: Int? { boundPort.withLock { $0 } }

  /// Listens in the background, until `stop`. An address that cannot be had (another program's port) is told in the log and
  /// tried again: sections are taken in meanwhile.
  public func start() {
    let running = Task.detached { [self] in
      var pause = 1.0
      while !Task.isCancelled {
        do { try await serve() } catch is CancellationError {
          return
        } catch {
          if Task.isCancelled { return }
          log.error(
            "http: \(configuration.host) port \(configuration.port) cannot be listened to (\(error)); tried again in \(Int(pause)) s")
        }
        try? await Task.sleep(for: .seconds(pause))
        pause = min(pause * 2, 60)
      }
    }
    task.withLock { $0 = running }
  }

  /// Ends it, and waits for that.
  public func stop() {
    guard let running = task.withLock({ $0.take() }) else { return }
    running.cancel()
    let ended = DispatchSemaphore(value: 0)
    Task.detached {
      await running.value
      ended.signal()
    }
    if ended.wait(timeout: .now() + 10) == .timedOut { log.warning("http: a request did not end in 10 s") }
  }

  private func serve() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let pool = RecordPool(conninfo: source.conninfo)
    let routes = Routes(configuration, source, pool)
    var quiet = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
    quiet.logLevel = .error
    let application = Application(
      router: routes.router(),
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), serverName: "fgnetd",
        availableConnectionsDelegate: .maximum(4 * configuration.concurrency, logger: quiet)),
      onServerRunning: { [self] channel in
        boundPort.withLock { $0 = channel.localAddress?.port }
        log.info("http://\(configuration.host):\(channel.localAddress?.port ?? configuration.port)/ shows the volumes")
      },
      eventLoopGroupProvider: .shared(group), logger: quiet)
    let result: Result<Void, any Error>
    do { result = .success(try await application.run()) } catch { result = .failure(error) }
    boundPort.withLock { $0 = nil }
    await pool.close()
    try? await group.shutdownGracefully()
    try result.get()
  }
}

extension Optional {
  /// The value, of which nil is left.
  fileprivate mutating func take() -> Wrapped? {
    defer { self = nil }
    return self
  }
}
