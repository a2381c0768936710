import Domain

/// What an answer must be, whoever gave it. All throw a sentence that names the first pixel or edge that is wrong.
enum ExternalChecks {
  /// Intensities or affinities: finite, 0...1.
  static func fractions(_ values: [Float], width: Int, of what: String) throws(CommandFault) {
    // NaN is in no range.
    let isGood = values.withUnsafeBufferPointer { buffer in
      var good = true
      for value in buffer { good = good && value >= 0 && value <= 1 }
      return good
    }
    if isGood { return }
    guard let index = values.firstIndex(where: { !($0 >= 0 && $0 <= 1) }) else { return }
    throw CommandFault(
      "its \(what) has the value \(values[index]) at \(place(index, width)); all must be numbers from 0 to 1")
  }

  /// Labels in raster order of their first pixels.
  static func renumbered(_ labels: [UInt32], height: Int, width: Int) throws(CommandFault) -> FragmentSection {
    let largest = labels.max() ?? 0
    guard largest <= FragmentID.maximumLabel else {
      let index = labels.firstIndex(of: largest) ?? 0
      throw CommandFault(
        "its label \(largest) at \(place(index, width)) is out of range; labels are 0 to \(FragmentID.maximumLabel)")
    }
    var new = [UInt32](repeating: 0, count: Int(largest) + 1)
    var count: UInt32 = 0
    var result = labels
    result.withUnsafeMutableBufferPointer { pixels in
      new.withUnsafeMutableBufferPointer { new in
        for index in pixels.indices where pixels[index] != 0 {
          let label = Int(pixels[index])
          if new[label] == 0 {
            count += 1
            new[label] = count
          }
          pixels[index] = new[label]
        }
      }
    }
    return FragmentSection(labels: Plane(height: height, width: width, storage: result), count: Int(count))
  }

  static func decisions(_ accepted: [UInt8], _ scores: [Float]) throws(CommandFault) -> [EdgeDecision] {
    var result: [EdgeDecision] = []
    result.reserveCapacity(accepted.count)
    for (index, (flag, score)) in zip(accepted, scores).enumerated() {
      guard flag <= 1 else { throw CommandFault("its decision \(index) is \(flag); decisions are 0 or 1") }
      guard score >= 0, score <= 1 else {
        throw CommandFault("its score \(index) is \(score); scores are numbers from 0 to 1")
      }
      result.append(EdgeDecision(accepted: flag == 1, score: score))
    }
    return result
  }

  private static func place(_ index: Int, _ width: Int) -> String {
    let pixel = index % max(1, width)
    return "row \(index / max(1, width)), column \(pixel)"
  }
}
