import ArgumentParser
import FGNetKernel
import Foundation
import Volumes

/// `fgnetd model`: about weights files.
struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "About weights files.", subcommands: [Info.self, Keys.self])

  /// `fgnetd model info`: reads a file as the daemon would, and says what it is.
  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "info", abstract: "Check a weights file as the daemon does, and say what it holds.",
      discussion: "Takes networks (fgnet-weights-1) and SAM2's image encoders (fgnet-image-encoder-1).")

    @Argument(help: "The weights file (HDF5).") var file: String

    func run() throws {
      do {
        switch try WeightsFormat(path: file) {
        case .network: try describeNetwork()
        case .imageEncoder: try describeImageEncoder()
        }
      } catch let error as KernelError { throw OperatorError(error.description, status: .badData) }
    }

    private func describeNetwork() throws {
      let weights = try WeightsFile(path: file)
      _ = try FGNet(architecture: weights.architecture, weights: weights)
      let architecture = weights.architecture
      let side = architecture.alignment * 8
      let cost = Double(architecture.operationsPerSection(height: side, width: side)) / Double(side * side)
      try describe("network", weights.inventory)
      describe(architecture.trunk)
      print("offsets     \(architecture.offsets)")
      print("voxel size  \(architecture.voxelSizeNanometres) nm (z, y, x)")
      print("context     \(architecture.contextRadius) sections on each side")
      print("cost        \(String(format: "%.3f", 2 * cost / 1e6)) MFLOP per pixel")
      print("card        \(weights.card)")
      print("defaults    \(weights.postprocessing)")
    }

    private func describeImageEncoder() throws {
      let weights = try ImageEncoderFile(path: file)
      _ = try ImageEncoder(architecture: weights.architecture, weights: weights)
      let architecture = weights.architecture
      let size = architecture.size.map { "SAM2's \($0.rawValue)" } ?? "none of SAM2's sizes"
      try describe("image encoder, \(size)", weights.inventory)
      describe(architecture.trunk)
      print("neck        d_model \(architecture.neck.dModel), top-down levels \(architecture.neck.fpnTopDownLevels)")
      print("card        \(weights.card)")
    }

    private func describe(_ kind: String, _ inventory: [TensorSpec]) throws {
      print("file        \(file)")
      print("sha256      \(try ContentHash.sha256(ofFile: file))")
      print("holds       \(kind)")
      print("tensors     \(inventory.count), \(inventory.reduce(0) { $0 + $1.count }) parameters")
    }

    private func describe(_ trunk: Architecture.Trunk) {
      print("trunk       embed_dim \(trunk.embedDim), stages \(trunk.stages)")
    }
  }

  /// `fgnetd model keys`: what the image encoder of a SAM2 checkpoint must hold.
  struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "keys", abstract: "List the tensors of SAM2's image encoder: key and shape, in order of the keys.",
      discussion: "One line for each, a tab between, keys as in SAM2's and SAM2.1's checkpoints.")

    @Argument(help: "One of \(ImageEncoderArchitecture.Size.allCases.map(\.rawValue).joined(separator: ", ")).")
    var size: String

    func run() throws {
      guard let size = ImageEncoderArchitecture.Size(rawValue: size) else {
        let sizes = ImageEncoderArchitecture.Size.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("\"\(size)\" is none of SAM2's sizes: \(sizes)")
      }
      for tensor in ImageEncoderArchitecture(size).tensors {
        print("\(ImageEncoderArchitecture.checkpointPrefix)\(tensor.key)\t\(tensor.shape)")
      }
    }
  }
}
