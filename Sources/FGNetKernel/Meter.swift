/// What the layers tell while they work: multiply-adds done, and, for parity tests, every module's output.
final class Meter {
  private(set) var operations = 0
  /// The place of the stack that is being evaluated.
  var place = 0
  /// Called with a module's key, the place of the stack, and the output.
  var trace: ((String, Int, Tensor) -> Void)?

  func count(_ multiplyAdds: Int) { operations += multiplyAdds }
  var traces: Bool { trace != nil }
  func report(_ key: String, _ output: Tensor) { trace?(key, place, output) }
}
