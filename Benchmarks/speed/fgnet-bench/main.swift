import ArgumentParser

/// Times of the network in steady state and of what comes after it, for the scripts in Benchmarks. Not part of what is
/// installed.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fgnet-bench", subcommands: [Network.self, Encoder.self, Post.self, Denoise.self])
}

Bench.main()
