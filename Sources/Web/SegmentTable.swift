/// The segment of each label of a section.
struct SegmentTable: Sendable, Equatable {
  /// By label, from 0; 0 for no segment.
  let segments: [UInt64]
  /// Differs where the segments do.
  let name: String

  init(_ segments: [UInt64]) {
    self.segments = segments
    // FNV-1a, over 64 bits at a time.
    var hash: UInt64 = 14_695_981_039_346_656_037
    for segment in segments { hash = (hash ^ segment) &* 1_099_511_628_211 }
    name = String(segments.count) + "-" + String(hash, radix: 16)
  }

  static let empty = SegmentTable([0])

  /// The segment of a label; 0 for a label that is not there.
  subscript(label: UInt32) -> UInt64 { Int(label) < segments.count ? segments[Int(label)] : 0 }
}
