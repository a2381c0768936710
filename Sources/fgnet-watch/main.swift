import Glibc

/// fgnet-watch FOLDER...: prints what happens in folders, one event a line. The format is described in
/// docs/decisions/0002-watcher.md.
func run() -> Int32 {
  // libinotifytools writes to stderr when it is surprised. What it says is meant for nobody here, so its stderr is
  // /dev/null and ours a copy of the real one.
  let errors = fcntl(2, F_DUPFD_CLOEXEC, 3)
  let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
  if null >= 0 { dup2(null, 2) }
  do {
    let folders = CommandLine.arguments.dropFirst().map { Array($0.utf8) }
    let watcher = try Watcher(roots: try rawArguments(expected: folders.count))
    try watcher.run()
    return 0
  } catch {
    let line = Array("fgnet-watch: \(error.text)\n".utf8)
    _ = line.withUnsafeBytes { write(errors, $0.baseAddress, $0.count) }
    return error.status
  }
}

/// The arguments as bytes: a folder's name need not be UTF-8, and Swift repairs its strings.
func rawArguments(expected: Int) throws(WatchFailure) -> [[UInt8]] {
  var arguments: [[UInt8]] = []
  for i in 0..<expected {
    guard let text = CommandLine.unsafeArgv[i + 1] else { break }
    arguments.append(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
  }
  return arguments
}

exit(run())
