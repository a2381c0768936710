/// What a picture file says of itself.
public struct ImageFacts: Sendable, Equatable {
  /// Sections in it: pages of a TIFF, planes of a volume.
  public var sections: Int
  /// Rows of each.
  public var height: Int
  /// Columns of each.
  public var width: Int
  /// Numbers a pixel is stored in.
  public var pixels: PixelType
  /// nil where the file does not tell.
  public var pixelSize: PixelSize?

  public init(sections: Int = 1, height: Int, width: Int, pixels: PixelType, pixelSize: PixelSize? = nil) {
    self.sections = sections
    self.height = height
    self.width = width
    self.pixels = pixels
    self.pixelSize = pixelSize
  }
}

/// Numbers a pixel can be stored in.
public enum PixelType: String, Sendable, CaseIterable {
  case u8 = "uint8"
  case i8 = "int8"
  case u16 = "uint16"
  case i16 = "int16"
  case u32 = "uint32"
  case i32 = "int32"
  case f16 = "float16"
  case f32 = "float32"
  case f64 = "float64"

  /// Bytes of one number.
  public var bytes: Int {
    switch self {
    case .u8, .i8: 1
    case .u16, .i16, .f16: 2
    case .u32, .i32, .f32: 4
    case .f64: 8
    }
  }

  /// The type of a TIFF's sample format (1 unsigned, 2 signed, 3 float) and bits; nil if it is none of these.
  init?(format: Int, bits: Int) {
    switch (format, bits) {
    case (1, 8): self = .u8
    case (1, 16): self = .u16
    case (1, 32): self = .u32
    case (2, 8): self = .i8
    case (2, 16): self = .i16
    case (2, 32): self = .i32
    case (3, 16): self = .f16
    case (3, 32): self = .f32
    case (3, 64): self = .f64
    default: return nil
    }
  }
}

/// How files are taken in.
public struct ImageOptions: Sendable, Equatable {
  /// What is done with a file of several sections.
  public enum Stack: String, Sendable, CaseIterable {
    /// It is set aside.
    case refuse
    /// Each page or plane is a section; the file's z is that of the first.
    case sections
  }

  public var stack: Stack
  /// Dataset of HDF5 files; nil: the first that exists of `LabelSource.usualImageDatasets`.
  public var dataset: String?
  /// Values that become black and white; nil: as `IntensityMapping` says for the type.
  public var intensityRange: ClosedRange<Double>?

  public init(stack: Stack = .refuse, dataset: String? = nil, intensityRange: ClosedRange<Double>? = nil) {
    self.stack = stack
    self.dataset = dataset
    self.intensityRange = intensityRange
  }
}
