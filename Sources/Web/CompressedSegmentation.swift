import Domain

/// Neuroglancer's `compressed_segmentation` encoding of labels, one channel
/// (https://github.com/google/neuroglancer/blob/master/src/sliceview/compressed_segmentation/README.md).
enum CompressedSegmentation {
  /// Voxels of a block along x and y; along z it is one section, as a chunk is.
  static let block = 8

  /// One section's labels, as 32-bit words.
  static func encode(_ labels: Plane<UInt64>) -> [UInt32] {
    let across = (labels.width + block - 1) / block
    let down = (labels.height + block - 1) / block
    // The one channel begins after its own offset.
    var words: [UInt32] = [1]
    let header = words.count
    words += [UInt32](repeating: 0, count: 2 * across * down)
    var tables: [[UInt64]: Int] = [:]
    for blockY in 0..<down {
      for blockX in 0..<across {
        let values = blockValues(labels, blockY, blockX)
        let table = Array(Set(values)).sorted()
        let bits = bits(for: table.count)
        let first = words.count - header
        words += packed(values, table, bits)
        let place: Int
        if let known = tables[table] {
          place = known
        } else {
          place = words.count - header
          tables[table] = place
          for value in table {
            words.append(UInt32(truncatingIfNeeded: value))
            words.append(UInt32(truncatingIfNeeded: value >> 32))
          }
        }
        let index = header + 2 * (blockY * across + blockX)
        words[index] = UInt32(place) | UInt32(bits) << 24
        words[index + 1] = UInt32(first)
      }
    }
    return words
  }

  /// The block's labels, x fastest; beyond the plane its last row and column repeat.
  private static func blockValues(_ labels: Plane<UInt64>, _ blockY: Int, _ blockX: Int) -> [UInt64] {
    var values: [UInt64] = []
    values.reserveCapacity(block * block)
    for y in blockY * block..<(blockY + 1) * block {
      for x in blockX * block..<(blockX + 1) * block {
        values.append(labels[min(y, labels.height - 1), min(x, labels.width - 1)])
      }
    }
    return values
  }

  /// Bits of an index into a table: 0, 1, 2, 4, 8 or more.
  private static func bits(for count: Int) -> Int {
    var bits = 0
    while 1 << bits < count { bits = bits == 0 ? 1 : 2 * bits }
    return bits
  }

  private static func packed(_ values: [UInt64], _ table: [UInt64], _ bits: Int) -> [UInt32] {
    guard bits > 0 else { return [] }
    var words = [UInt32](repeating: 0, count: (values.count * bits + 31) / 32)
    let index = Dictionary(uniqueKeysWithValues: zip(table, 0...))
    for (place, value) in values.enumerated() {
      words[place * bits / 32] |= UInt32(index[value] ?? 0) << UInt32(place * bits % 32)
    }
    return words
  }
}
