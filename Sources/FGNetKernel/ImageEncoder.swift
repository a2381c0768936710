internal import CKernels

/// A map of features of one image: (height, width, channels), channels fastest.
public struct FeatureMap: @unchecked Sendable, Equatable {
  // The encoder's own, which nobody writes to any more: at 1024 x 1024 the largest is 64 MiB.
  private let tensor: Tensor

  public var height: Int { tensor.height }
  public var width: Int { tensor.width }
  public var channels: Int { tensor.channels }
  /// A copy.
  public var values: [Float] { tensor.array() }

  init(_ tensor: Tensor) { self.tensor = tensor }

  /// The values where they are.
  public func withValues<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(tensor) {} }
    return try body(UnsafeBufferPointer(tensor.values))
  }

  public static func == (a: FeatureMap, b: FeatureMap) -> Bool {
    guard (a.height, a.width, a.channels) == (b.height, b.width, b.channels) else { return false }
    return a.withValues { a in b.withValues { b in a.elementsEqual(b) } }
  }
}

/// What SAM2's image encoder gives for one image.
public struct ImageFeatures: Sendable, Equatable {
  /// At strides 4, 8 and 16.
  public let backboneFPN: [FeatureMap]
  /// The one at stride 16.
  public var visionFeatures: FeatureMap { backboneFPN[backboneFPN.count - 1] }
}

/// The image encoder of SAM2 and SAM2.1: Hiera and the feature pyramid behind it. Ports
/// sam2/modeling/backbones/image_encoder.py (ImageEncoder, with scalp 1 as in all of SAM2's configurations) @2b90b9f.
/// SAM2's sine position encodings are left out: they are returned beside the features and change none of them.
///
/// Not reentrant: one thread at a time.
public final class ImageEncoder {
  public let architecture: ImageEncoderArchitecture
  public let precision: Precision
  private let trunk: Hiera
  private let neck: Neck
  private let meter = Meter()

  /// - Parameter path: a weights file of an image encoder.
  /// - Throws: `unreadableWeights`, `unknownFormat`, `badArchitecture`, `mismatchedWeights`, `notFinite`, all naming
  ///   the file.
  public convenience init(path: String, precision: Precision = .float32) throws(KernelError) {
    let file = try ImageEncoderFile(path: path)
    try self.init(architecture: file.architecture, weights: file, precision: precision)
  }

  /// - Parameter weights: keys `trunk.*` and `neck.convs.K.conv.weight|bias`.
  /// - Throws: `badArchitecture`, `mismatchedWeights`, `notFinite`.
  public init(
    architecture: ImageEncoderArchitecture, weights: any WeightsSource, precision: Precision = .float32
  ) throws(KernelError) {
    try architecture.validate(source: weights.name)
    self.architecture = architecture
    self.precision = precision
    let checked = try Weights(weights, expecting: architecture.tensors)
    let meter = meter
    (trunk, neck) = try precision.inUse { () throws(KernelError) in
      (try Hiera(architecture.trunk, checked, grey: false, meter), try Neck(architecture.neck, checked, meter))
    }
  }

  deinit { ck_release_kept() }

  /// The features of an image.
  /// - Parameter planes: the image's channels, normalised. SAM2 takes red, green and blue in 0...1, less
  ///   (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
  /// - Precondition: `in_chans` planes of one size, height and width multiples of 32.
  /// - Throws: `notFinite`, `outOfMemory`.
  public func features(of planes: [FloatPlane]) throws(KernelError) -> ImageFeatures {
    let maps = try maps(of: image(planes)).dropLast()
    for map in maps where ck_all_finite(map.data, map.count) == 0 {
      throw .notFinite(what: "the image encoder's output")
    }
    return ImageFeatures(backboneFPN: maps.map { FeatureMap($0) })
  }

  /// Maps at strides 4, 8, 16, 32 of (h, w, in_chans).
  func maps(of image: Tensor) throws(KernelError) -> [Tensor] {
    try precision.inUse { () throws(KernelError) in try neck(trunk(image)) }
  }

  /// Multiply-adds done so far.
  package var operationsDone: Int { meter.operations }

  /// As `FGNet.profile`.
  package var profile: ((String, Int, Duration) -> Void)? {
    get { meter.profile }
    set { meter.profile = newValue }
  }

  /// (h, w, channels) <- planes.
  private func image(_ planes: [FloatPlane]) throws(KernelError) -> Tensor {
    guard let first = planes.first, planes.count == architecture.trunk.inChans else {
      preconditionFailure("the encoder takes \(architecture.trunk.inChans) planes, not \(planes.count)")
    }
    let out = try Tensor(first.height, first.width, planes.count)
    for (channel, plane) in planes.enumerated() {
      precondition(plane.height == first.height && plane.width == first.width, "planes of different sizes")
      guard ck_all_finite(plane.values, plane.values.count) == 1 else {
        throw .notFinite(what: "channel \(channel) of the image")
      }
      plane.values.withUnsafeBufferPointer { pixels in
        for p in 0..<pixels.count { out.data[p * planes.count + channel] = pixels[p] }
      }
    }
    return out
  }

  /// Called with a module's key, place 0, and the output; for parity tests.
  var trace: ((String, Int, Tensor) -> Void)? {
    get { meter.trace }
    set { meter.trace = newValue }
  }
}
