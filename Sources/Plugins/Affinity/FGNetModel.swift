public import Domain
internal import FGNetKernel

/// A weights file that was read once, for the stages of any number of volumes.
///
/// `@unchecked`: everything in it is a value that never changes after `init`.
public final class FGNetModel: @unchecked Sendable {
  public let path: String
  /// SHA-256 of the file, hexadecimal.
  public let hash: String
  /// The voxels that the network was trained on.
  public let voxelSize: VoxelNanometres
  /// The attribute `postprocessing` (docs/model.md), as it stands there.
  public let postprocessing: String
  private let weights: WeightsFile

  /// - Parameter hash: SHA-256 of the file, hexadecimal.
  /// - Throws: a sentence that names the file.
  public init(path: String, hash: String) throws(StageError) {
    do throws(KernelError) {
      weights = try WeightsFile(path: path)
    } catch {
      throw StageError(stage: FGNetOptions.stage, reason: error.description)
    }
    let size = weights.architecture.voxelSizeNanometres
    self.path = path
    self.hash = hash
    voxelSize = VoxelNanometres(z: size[0], y: size[1], x: size[2])
    postprocessing = weights.postprocessing
  }

  /// The stage for one volume, with a network of its own: what a network keeps in memory belongs to one stack.
  /// - Throws: why the model is not used on such a volume, or what is wrong with the weights.
  public func stage(
    _ options: FGNetOptions, volume: String, voxelSize: VoxelNanometres
  ) throws(StageError) -> FGNetAffinityStage {
    let scale = try options.scale(volume: volume, voxelSize: voxelSize, trained: self.voxelSize)
    let precision = try options.resolvedPrecision()
    do throws(KernelError) {
      let network = try FGNet(architecture: weights.architecture, weights: weights, precision: precision)
      return FGNetAffinityStage(network: network, modelHash: hash, scale: scale, keepsCoarse: options.keepsCoarse)
    } catch {
      throw StageError(stage: FGNetOptions.stage, reason: error.description)
    }
  }
}
