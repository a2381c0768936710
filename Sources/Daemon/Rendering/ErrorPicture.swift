import Domain

/// A picture of a merge or a split: crops around one place over a few sections, the truth above, what was found below.
///
/// Involved labels have strong colours: the two largest parts amber and blue, further ones the colour of their id, the whole
/// (the merged segment, the split object) magenta. Above, true objects are outlined on the image, the involved ones filled
/// lightly. Below, found segments are coloured, those not involved faintly, with the outlines of the involved true objects.
struct ErrorPicture {
  /// Rows and columns of a crop before it is enlarged.
  static let side = 160
  /// Sections shown, where there are as many.
  static let depth = 5
  private static let scale = 2
  private static let amber = RGB(255, 176, 0)
  private static let blue = RGB(70, 160, 255)
  private static let magenta = RGB(235, 80, 200)
  private static let otherOutline = RGB(grey: 190)

  let error: CostlyError
  let place: ErrorPlaces.Place
  /// Sections shown, ascending.
  let sections: [SectionNumber]
  /// Parts in strong colours: the two largest, and others that are not mere slivers.
  private let parts: [UInt64: RGB]

  /// - Parameter numbers: all sections there are, ascending.
  init(_ error: CostlyError, at place: ErrorPlaces.Place, among numbers: [SectionNumber]) {
    self.error = error
    self.place = place
    let middle = numbers.firstIndex(of: place.z) ?? 0
    let first = max(0, min(middle - Self.depth / 2, numbers.count - Self.depth))
    sections = Array(numbers[first..<min(numbers.count, first + Self.depth)])
    var parts: [UInt64: RGB] = [:]
    for (index, part) in error.parts.enumerated() where index < 2 || part.voxels * 20 >= error.voxels {
      parts[part.label] = index == 0 ? Self.amber : index == 1 ? Self.blue : SegmentPalette.color(of: part.label)
    }
    self.parts = parts
  }

  /// The panels of one section after the other.
  struct Panels {
    var truth: [Montage.Panel] = []
    var found: [Montage.Panel] = []
    mutating func append(_ panels: (truth: Montage.Panel, found: Montage.Panel)) {
      truth.append(panels.truth)
      found.append(panels.found)
    }
  }

  /// The two panels of a section.
  /// - Precondition: the planes have one shape.
  func panels(
    _ z: SectionNumber, _ truth: Plane<UInt64>, _ found: Plane<UInt64>, _ image: Plane<UInt16>?
  ) -> (truth: Montage.Panel, found: Montage.Panel) {
    let window = Window(height: truth.height, width: truth.width, y: place.y, x: place.x)
    let base = image.map { window.stretched($0) }
    let (truth, found) = (window.cut(truth), window.cut(found))
    let others: Float = base == nil ? 0.2 : 0
    var upper = canvas(truth, base, share: base == nil ? 0.55 : 0.3, others: others, color: truthColor)
    outline(&upper, truth, thickness: 1) { truthColor($0) == nil && $0 != 0 ? Self.otherOutline : nil }
    outline(&upper, truth, thickness: 2, color: truthColor)
    var lower = canvas(found, base, share: base == nil ? 0.8 : 0.55, others: 0.2, color: foundColor)
    outline(&lower, found, thickness: 1) { $0 == 0 ? nil : (foundColor($0) ?? SegmentPalette.color(of: $0)) }
    outline(&lower, truth, thickness: 2, color: truthColor)
    if z == place.z {
      mark(&upper, window)
      mark(&lower, window)
    }
    let here = z == place.z ? ", place" : ""
    return (Montage.Panel("z \(z) truth\(here)", upper), Montage.Panel("z \(z) found\(here)", lower))
  }

  /// The whole picture.
  func montage(_ panels: Panels, number: Int) -> Montage {
    let isMerge = error.kind == .merge
    let (whole, part) = isMerge ? ("segment", "true object") : ("true object", "segment")
    let involved = zip(["amber", "blue"], error.parts).map { "\($0): \(part) \($1.label) (\($1.voxels) voxels)" }
    let others = error.parts.count > 2 ? ", and \(error.parts.count - 2) more" : ""
    let other = place.otherZ == place.z ? "" : ", the other one at z \(place.otherZ)"
    return Montage(
      panels.truth + panels.found, columns: panels.truth.count,
      footer: """
        \(isMerge ? "merge" : "split") \(number), \(EvaluationReport.four(error.bits)) bits. \
        magenta: \(whole) \(error.label) (\(error.voxels) voxels)
        \(involved.joined(separator: ", "))\(others)
        place z \(place.z) y \(place.y) x \(place.x): these two are \(EvaluationReport.short(place.distance)) nm apart\(other)
        """)
  }

  private func truthColor(_ label: UInt64) -> RGB? {
    if label == 0 { return nil }
    return error.kind == .merge ? parts[label] : (label == error.label ? Self.magenta : nil)
  }

  private func foundColor(_ label: UInt64) -> RGB? {
    error.kind == .split ? parts[label] : (label == error.label ? Self.magenta : nil)
  }

  /// The image enlarged, involved labels filled with their colour, others with that of their id; each with its share.
  private func canvas(
    _ labels: Plane<UInt64>, _ base: Plane<UInt8>?, share: Float, others: Float, color: (UInt64) -> RGB?
  ) -> RGBImage {
    var small = RGBImage(height: labels.height, width: labels.width)
    for y in 0..<labels.height {
      for x in 0..<labels.width {
        let grey = RGB(grey: base?[y, x] ?? 24)
        let label = labels[y, x]
        if label == 0 {
          small[y, x] = grey
        } else if let color = color(label) {
          small[y, x] = grey.mixed(with: color, share: share)
        } else {
          small[y, x] = grey.mixed(with: SegmentPalette.color(of: label), share: others)
        }
      }
    }
    return small.enlarged(down: Self.scale, across: Self.scale)
  }

  /// Draws the inner edge of every label that has a colour, `thickness` pixels of the enlarged picture wide.
  private func outline(
    _ picture: inout RGBImage, _ labels: Plane<UInt64>, thickness: Int, color: (UInt64) -> RGB?
  ) {
    let scale = Self.scale
    for y in 0..<labels.height {
      for x in 0..<labels.width {
        let label = labels[y, x]
        let up = y > 0 && labels[y - 1, x] != label
        let down = y + 1 < labels.height && labels[y + 1, x] != label
        let left = x > 0 && labels[y, x - 1] != label
        let right = x + 1 < labels.width && labels[y, x + 1] != label
        guard up || down || left || right, let color = color(label) else { continue }
        for row in 0..<scale {
          for column in 0..<scale {
            let edge =
              (up && row < thickness) || (down && scale - 1 - row < thickness) || (left && column < thickness)
              || (right && scale - 1 - column < thickness)
            if edge { picture[y * scale + row, x * scale + column] = color }
          }
        }
      }
    }
  }

  /// Four ticks around the place, which they leave free.
  private func mark(_ picture: inout RGBImage, _ window: Window) {
    let (y, x) = ((place.y - window.top) * Self.scale, (place.x - window.left) * Self.scale)
    for (width, color) in [(3, RGB(0, 0, 0)), (1, RGB(255, 255, 255))] {
      for step in 14..<30 {
        for side in -(width / 2)...(width / 2) {
          for (dy, dx) in [(-step, side), (step, side), (side, -step), (side, step)]
          where (0..<picture.height).contains(y + dy) && (0..<picture.width).contains(x + dx) {
            picture[y + dy, x + dx] = color
          }
        }
      }
    }
  }

  /// The part of a section that is shown: around the place, moved inwards at the section's edges.
  private struct Window {
    let top: Int
    let left: Int
    let height: Int
    let width: Int

    init(height: Int, width: Int, y: Int, x: Int) {
      self.height = min(height, ErrorPicture.side)
      self.width = min(width, ErrorPicture.side)
      top = max(0, min(y - self.height / 2, height - self.height))
      left = max(0, min(x - self.width / 2, width - self.width))
    }

    func cut<T>(_ plane: Plane<T>) -> Plane<T> {
      var storage: [T] = []
      storage.reserveCapacity(height * width)
      for y in top..<top + height { storage += plane.storage[y * plane.width + left..<y * plane.width + left + width] }
      return Plane(height: height, width: width, storage: storage)
    }

    /// The image here in 8 bits, its 1 % darkest and brightest pixels black and white.
    func stretched(_ image: Plane<UInt16>) -> Plane<UInt8> {
      let crop = cut(image)
      let sorted = crop.storage.sorted()
      guard let darkest = sorted.first else { return Plane(height: 0, width: 0, storage: []) }
      let low = Float(sorted[sorted.count / 100])
      let high = Float(sorted[sorted.count - 1 - sorted.count / 100])
      let factor = high > low ? 255 / (high - low) : 0
      let bytes = crop.storage.map { UInt8(max(0, min(255, (Float($0) - low) * factor))) }
      return Plane(
        height: height, width: width, storage: high > low ? bytes : bytes.map { _ in UInt8(clamping: darkest) })
    }
  }
}
