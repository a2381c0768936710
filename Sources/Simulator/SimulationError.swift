/// What the simulator refuses, in a sentence.
public enum SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// An option outside of its range.
  case option(name: String, value: String, allowed: String)
  /// The volume is so large that its neurites cannot be numbered in 32 bits.
  case tooLarge(height: Int, width: Int)
  /// A section number outside of `FragmentID.sectionNumbers`.
  case section(Int)

  public var description: String {
    switch self {
    case .option(let name, let value, let allowed):
      "simulation option \(name) is \(value): give \(allowed)"
    case .tooLarge(let height, let width):
      "a simulated section of \(height) x \(width) has more neurites than labels can number: ask for a smaller one"
    case .section(let z):
      "section \(z) cannot be simulated: section numbers go from -131072 to 131071"
    }
  }
}
