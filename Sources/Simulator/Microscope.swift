import Domain

/// What the microscope and the knife do to a section: focus, light, noise, faults. Greys in, 16-bit counts out.
struct Microscope {
  let options: SimulationOptions
  let z: SectionNumber
  let fault: SimulationFault?
  private let key: UInt64

  init(options: SimulationOptions, z: SectionNumber, fault: SimulationFault?) {
    self.options = options
    self.z = z
    self.fault = fault
    key = Hash.key(Hash.key(options.seed, 6), Int(z))
  }

  /// (height, width) greys 0...255 -> counts.
  func image(of greys: [Float]) -> Plane<UInt16> {
    let (height, width) = (options.height, options.width)
    if fault == .missing { return Plane(height: height, width: width, repeating: 0) }
    var random = RandomStream(key: key)
    let sharp = Float(random.uniform(0.55, 0.75))
    let gain = Float(random.uniform(0.92, 1.08))
    let offset = Float(random.normal()) * 5
    let slope = (Float(random.normal()) * 5, Float(random.normal()) * 5)

    var plane = displaced(greys, key: Hash.key(key, 1))
    plane = blurred(plane, height, width, sigma: fault == .blurred ? 3.2 : sharp)
    let noise = noise(height, width, key: Hash.key(key, 2))
    let lightKey = Hash.key(key, 3)
    let pixel = Float(options.pixelNanometres)
    let amount = Float(options.noise)
    var counts = [UInt16](repeating: 0, count: height * width)
    for y in 0..<height {
      let fy = Float(y) * pixel / 3072 - 0.5
      for x in 0..<width {
        let fx = Float(x) * pixel / 3072 - 0.5
        let light = ValueNoise.value(lightKey, 1.7 * fx + 9, 1.7 * fy + 9, 0.5)
        var v = plane[y * width + x]
        v = (v - 128) * gain + 128 + offset + slope.0 * fy + slope.1 * fx + 7 * light
        if fault == .dark { v = 12 + 0.28 * v }
        // Electrons counted: more signal, more noise.
        v += amount * noise[y * width + x] * (2.8 + 0.018 * max(0, v))
        counts[y * width + x] = UInt16(min(65_535, max(0, (v * 256).rounded())))
      }
    }
    return Plane(height: height, width: width, storage: counts)
  }

  /// Variance about 1, partly shared between neighbours.
  private func noise(_ height: Int, _ width: Int, key: UInt64) -> [Float] {
    guard options.noise > 0 else { return Array(repeating: 0, count: height * width) }
    var white = [Float](repeating: 0, count: height * width)
    for y in 0..<height {
      for x in 0..<width { white[y * width + x] = RandomStream.normal(Hash.lattice(key, y, x, 0)) }
    }
    let smooth = blurred(white, height, width, sigma: 0.8)
    for k in white.indices { white[k] = 0.6 * white[k] + 2.2 * smooth[k] }
    return white
  }

  // MARK: Focus

  /// Convolution with a Gaussian-like kernel (a power series of exp, so no libm), borders repeated.
  private func blurred(_ plane: [Float], _ height: Int, _ width: Int, sigma: Float) -> [Float] {
    let radius = Int((3 * sigma).rounded(.up))
    var kernel = (-radius...radius).map { Self.gaussian(Float($0) / sigma) }
    let sum = kernel.reduce(0, +)
    for k in kernel.indices { kernel[k] /= sum }
    var across = [Float](repeating: 0, count: plane.count)
    for y in 0..<height {
      let row = y * width
      for x in 0..<width {
        var v: Float = 0
        if x >= radius, x + radius < width {
          for (k, weight) in kernel.enumerated() { v += weight * plane[row + x + k - radius] }
        } else {
          for (k, weight) in kernel.enumerated() { v += weight * plane[row + min(width - 1, max(0, x + k - radius))] }
        }
        across[row + x] = v
      }
    }
    var down = [Float](repeating: 0, count: plane.count)
    for y in 0..<height {
      for (k, weight) in kernel.enumerated() {
        let from = min(height - 1, max(0, y + k - radius)) * width
        for x in 0..<width { down[y * width + x] += weight * across[from + x] }
      }
    }
    return down
  }

  /// exp(-u²/2) as (1 + u²/16)⁻⁸: within 0.03 of it, and without libm.
  private static func gaussian(_ u: Float) -> Float {
    var v = 1 / (1 + u * u / 16)
    for _ in 0..<3 { v *= v }
    return v
  }

  // MARK: Shift, fold, crack

  private func displaced(_ greys: [Float], key: UInt64) -> [Float] {
    var random = RandomStream(key: key)
    let (height, width) = (options.height, options.width)
    switch fault {
    case .shifted:
      let dy = Int(random.uniform(8, 20)) * (random.chance(0.5) ? 1 : -1)
      let dx = Int(random.uniform(8, 20)) * (random.chance(0.5) ? 1 : -1)
      return resampled(greys) { y, x in (Float(y + dy), Float(x + dx), 0, 0) }
    case .folded, .cracked:
      let direction = random.direction()
      let length = max(1e-3, (direction.x * direction.x + direction.y * direction.y).squareRoot())
      let (ny, nx) = (Float(direction.y / length), Float(direction.x / length))
      let (cy, cx) = (Float(height) * Float(random.uniform(0.3, 0.7)), Float(width) * Float(random.uniform(0.3, 0.7)))
      let half = Float(random.uniform(5, 11))
      let folded = fault == .folded
      return resampled(greys) { y, x in
        let (py, px) = (Float(y) - cy, Float(x) - cx)
        let along = py * nx - px * ny
        let wave = 14 * ValueNoise.value(key, along / 60, 0.5, 0.5) + 3 * ValueNoise.value(key ^ 1, along / 9, 0.5, 0.5)
        let d = py * ny + px * nx + wave
        // A fold swallows tissue on both sides, a crack pushes it apart.
        let side: Float = d < 0 ? -1 : 1
        let moved = (folded ? 1.5 : -0.8) * half * side
        if abs(d) < half {
          return (Float(y), Float(x), folded ? 34 + 3 * abs(d) : 232, folded ? 0.85 : 1)
        }
        return (Float(y) + moved * ny, Float(x) + moved * nx, 0, 0)
      }
    case nil, .missing, .blurred, .dark:
      return greys
    }
  }

  /// Each pixel from where `source` says (nearest, borders repeated), mixed with a grey.
  private func resampled(
    _ greys: [Float], _ source: (Int, Int) -> (y: Float, x: Float, grey: Float, share: Float)
  ) -> [Float] {
    let (height, width) = (options.height, options.width)
    var result = [Float](repeating: 0, count: greys.count)
    for y in 0..<height {
      for x in 0..<width {
        let s = source(y, x)
        let sy = min(height - 1, max(0, Int(s.y.rounded())))
        let sx = min(width - 1, max(0, Int(s.x.rounded())))
        result[y * width + x] = greys[sy * width + sx] * (1 - s.share) + s.grey * s.share
      }
    }
    return result
  }
}
