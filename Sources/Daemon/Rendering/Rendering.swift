import Domain

/// Pictures of sections, affinities and segments. Pure functions: planes in, pictures out, all of one shape.
enum Rendering {
  /// A section as it is.
  static func grey(_ image: Plane<UInt8>) -> RGBImage {
    var result = RGBImage(height: image.height, width: image.width)
    for (k, v) in image.storage.enumerated() {
      result.bytes[3 * k] = v
      result.bytes[3 * k + 1] = v
      result.bytes[3 * k + 2] = v
    }
    return result
  }

  /// Where the network sees borders: white inside of neurites, black where the affinity to the left or upper neighbour is 0.
  /// The first row has no upper neighbour, the first column no left one: those are not borders.
  static func boundaries(_ affinities: AffinitySection) -> RGBImage {
    var plane = Plane<UInt8>(height: affinities.height, width: affinities.width, repeating: 255)
    for y in 0..<plane.height {
      for x in 0..<plane.width {
        let up = y > 0 ? affinities.y[y, x] : 255
        let left = x > 0 ? affinities.x[y, x] : 255
        plane[y, x] = min(up, left)
      }
    }
    return grey(plane)
  }

  /// The same of the coarse affinities, at half the size.
  static func boundaries(_ affinities: CoarseAffinities) -> RGBImage {
    boundaries(AffinitySection(z: affinities.z, y: affinities.y, x: affinities.x))
  }

  /// The three affinities as red (x), green (y) and blue (z).
  static func channels(_ affinities: AffinitySection) -> RGBImage {
    var result = RGBImage(height: affinities.height, width: affinities.width)
    for k in affinities.x.storage.indices {
      result.bytes[3 * k] = affinities.x.storage[k]
      result.bytes[3 * k + 1] = affinities.y.storage[k]
      result.bytes[3 * k + 2] = affinities.z.storage[k]
    }
    return result
  }

  /// Segments by colour alone, 0 black.
  static func segments<Label: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>(
    _ labels: Plane<Label>
  ) -> RGBImage {
    overlay(labels, on: nil, opacity: 1, outlined: false)
  }

  /// Segments laid over a section.
  ///
  /// - Parameters:
  ///   - labels: what to colour, 0 is left as the image; the same shape as `image`.
  ///   - image: the section below, or nil for black.
  ///   - opacity: share of the segment's colour, 0...1. It is shaded by the image, so that membranes stay visible.
  ///   - outlined: draws the pixels at which another segment begins in the full colour of their own.
  static func overlay<Label: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>(
    _ labels: Plane<Label>, on image: Plane<UInt8>?, opacity: Float = 0.45, outlined: Bool = true
  ) -> RGBImage {
    precondition(image.map { $0.height == labels.height && $0.width == labels.width } ?? true, "shapes differ")
    var result = RGBImage(height: labels.height, width: labels.width)
    var last: (label: Label, color: RGB) = (0, RGB(0, 0, 0))
    for y in 0..<labels.height {
      for x in 0..<labels.width {
        let label = labels[y, x]
        let base = RGB(grey: image?[y, x] ?? 0)
        guard label != 0 else {
          result[y, x] = base
          continue
        }
        if label != last.label { last = (label, SegmentPalette.color(of: UInt64(label))) }
        let share = outlined && isBorder(labels, y, x) ? max(opacity, 0.9) : opacity
        result[y, x] = base.mixed(with: last.color, share: share)
      }
    }
    return result
  }

  /// Whether one of the four neighbours has another label.
  private static func isBorder<Label: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _ labels: Plane<Label>, _ y: Int, _ x: Int
  ) -> Bool {
    let label = labels[y, x]
    return (y > 0 && labels[y - 1, x] != label) || (x > 0 && labels[y, x - 1] != label)
      || (y + 1 < labels.height && labels[y + 1, x] != label) || (x + 1 < labels.width && labels[y, x + 1] != label)
  }

  /// The plane through row `y` of all sections: row k of the result is section k. Sections have one shape.
  static func reslice<Element: BitwiseCopyable & Sendable>(_ sections: [Plane<Element>], row y: Int) -> Plane<Element> {
    let width = sections.first?.width ?? 0
    var storage: [Element] = []
    storage.reserveCapacity(sections.count * width)
    for section in sections {
      precondition(
        section.width == width && (0..<section.height).contains(y), "sections differ in shape, or no row \(y)")
      storage.append(contentsOf: section.storage[y * width..<(y + 1) * width])
    }
    return Plane(height: sections.count, width: width, storage: storage)
  }
}
