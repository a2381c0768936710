/// The program's version, stored with every run.
enum Version {
  static let current = "0.10.1"
}
