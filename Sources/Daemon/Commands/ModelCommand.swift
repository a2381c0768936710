import ArgumentParser
import FGNetKernel
import Foundation
import Volumes

/// `fgnetd model`: about weights files.
struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "About weights files.", subcommands: [Info.self], defaultSubcommand: nil)

  /// `fgnetd model info`: reads a file as the daemon would, and says what it is.
  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "info", abstract: "Check a weights file as the daemon does, and say what it holds.")

    @Argument(help: "The weights file (HDF5).") var file: String

    func run() throws {
      let weights: WeightsFile
      do {
        weights = try WeightsFile(path: file)
        _ = try FGNet(path: file)
      } catch { throw OperatorError(error.description, status: .badData) }
      let architecture = weights.architecture
      let parameters = weights.inventory.reduce(0) { $0 + $1.shape.reduce(1, *) }
      let side = architecture.alignment * 8
      let cost = Double(architecture.operationsPerSection(height: side, width: side)) / Double(side * side)
      print("file        \(file)")
      print("sha256      \(try ContentHash.sha256(ofFile: file))")
      print("tensors     \(weights.inventory.count), \(parameters) parameters")
      print("trunk       embed_dim \(architecture.trunk.embedDim), stages \(architecture.trunk.stages)")
      print("offsets     \(architecture.offsets)")
      print("voxel size  \(architecture.voxelSizeNanometres) nm (z, y, x)")
      print("context     \(architecture.contextRadius) sections on each side")
      print("cost        \(String(format: "%.3f", 2 * cost / 1e6)) MFLOP per pixel")
      print("card        \(weights.card)")
      print("defaults    \(weights.postprocessing)")
    }
  }
}
