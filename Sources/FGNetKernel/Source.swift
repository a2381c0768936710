internal import CKernels

/// What a convolution reads: a map, or what is computed from one on the way, row by row, and never whole in memory.
struct Source {
  let map: Tensor
  let skip: Tensor?
  let form: ck_form
  let height: Int
  let width: Int
  var channels: Int { map.channels }

  private init(_ map: Tensor, _ form: ck_form, _ height: Int, _ width: Int, skip: Tensor? = nil) {
    self.map = map
    self.form = form
    self.height = height
    self.width = width
    self.skip = skip
  }

  static func plain(_ map: Tensor) -> Source { Source(map, CK_PLAIN, map.height, map.width) }

  /// (h / 2, w / 2, c): the 2 x 2 maximum.
  static func pooled(_ map: Tensor) -> Source {
    precondition(map.height % 2 == 0 && map.width % 2 == 0)
    return Source(map, CK_POOLED, map.height / 2, map.width / 2)
  }

  /// (2h, 2w, c): relu(bilinear x 2 + skip).
  static func doubled(_ map: Tensor, adding skip: Tensor? = nil) -> Source {
    precondition(skip == nil || skip?.count == 4 * map.count)
    return Source(map, CK_DOUBLED, 2 * map.height, 2 * map.width, skip: skip)
  }
}
