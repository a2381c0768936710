import Foundation
import Hummingbird
public import Logging
import NIOCore
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
    /// What the daemon last said of itself; nil while there is nothing.
    package var status: @Sendable () -> DaemonStatus?
    package init(
      conninfo: String, stateDirectory: String, folder: @escaping @Sendable (String) -> String,
      status: @escaping @Sendable () -> DaemonStatus?
    ) {
      self.conninfo = conninfo
      self.stateDirectory = stateDirectory
      self.folder = folder
      self.status = status
    }
  }

  /// Connections at a time; more wait until one of these ends.
  static let connections = 256
  /// After so long without a request, or without a byte taken of the answer, a connection is closed.
  static let patience = (request: TimeAmount.seconds(30), answer: TimeAmount.seconds(60))

  private let configuration: WebConfiguration
  private let source: Source
  private let log: Logger
  private let executor = WebExecutor()
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

  /// Listens in the background, until `stop`. An address that cannot be had (another program's port) is told in the log, once, and
  /// tried again: sections are taken in meanwhile.
  public func start() {
    let running = Task.detached(executorPreference: executor) { [self] in
      var pause = 1.0
      var told: String?
      while !Task.isCancelled {
        do {
          try await serve()
          if Task.isCancelled { return }
        } catch {
          if Task.isCancelled { return }
          let reason = "\(error)"
          if reason != told {
            let place = "\(configuration.host) port \(configuration.port)"
            log.error("http: \(place) cannot be listened to: \(reason); tried again until it can")
          }
          told = reason
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
    Task.detached(executorPreference: executor) {
      await running.value
      ended.signal()
    }
    if ended.wait(timeout: .now() + 10) == .timedOut { log.warning("http: a request did not end in 10 s") }
  }

  private func serve() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let pool = RecordPool(conninfo: source.conninfo)
    let routes = Routes(configuration, source, pool)
    let following = Task(executorPreference: executor) { await routes.status.follow(pool) }
    defer { following.cancel() }
    let quiet = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
    let application = Application(
      router: routes.router(),
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [
            IdleStateHandler(writeTimeout: Self.patience.answer), IdleCloser(),
          ], idleTimeout: Self.patience.request,
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), serverName: "fgnetd",
        availableConnectionsDelegate: .maximum(Self.connections, logger: quiet)),
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

/// Closes a connection of which nothing was written for a while: nobody asks, or nobody reads the answer.
private final class IdleCloser: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent {
      context.close(promise: nil)
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }
}

extension Optional {
  /// The value, of which nil is left.
  fileprivate mutating func take() -> Wrapped? {
    defer { self = nil }
    return self
  }
}
