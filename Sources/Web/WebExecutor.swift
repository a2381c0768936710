import Dispatch
import NIOPosix

/// Runs the server's tasks on two threads of its own. Swift's shared pool has one thread for each core: whatever held these would
/// hold the pages, and the other way round.
final class WebExecutor: TaskExecutor {
  private let threads = NIOThreadPool(numberOfThreads: 2)

  init() { threads.start() }

  deinit { threads.shutdownGracefully(queue: .global()) { _ in } }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    threads.submit { _ in job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
