import CStage
import Domain
import Glibc

/// A shared object with a stage, loaded for as long as the program runs: code of it may be anywhere.
///
/// Unchecked: pointers to code and constants, which never change.
final class StageLibrary: @unchecked Sendable {
  let path: String
  let description: ExternalDescription
  let create: fgnet_create_function
  let destroy: fgnet_destroy_function
  /// The function that does the work, of the type of its kind.
  let run: UnsafeMutableRawPointer
  /// Types of the options, in the description's order.
  let optionTypes: [Int32]

  /// Loads a library.
  /// - Parameter folders: it must lie in one of these.
  /// - Throws: a sentence that says what is wrong with the file.
  init(path: String, folders: [String], kind: StageKind) throws(CommandFault) {
    let real = try StageFiles.trusted(path, folders: folders)
    guard let handle = dlopen(real, RTLD_NOW | RTLD_LOCAL) else {
      throw CommandFault(
        "\(path) cannot be loaded: \(CommandHeaders.readable(dlerror().map { String(cString: $0) } ?? ""))")
    }
    func symbol(_ name: String) throws(CommandFault) -> UnsafeMutableRawPointer {
      guard let found = dlsym(handle, name) else {
        throw CommandFault("\(path) has no symbol \(name); see include/fgnet_stage.h")
      }
      return found
    }
    let version = unsafeBitCast(try symbol("fgnet_stage_abi"), to: fgnet_abi_function.self)()
    guard version == UInt32(FGNET_STAGE_ABI) else {
      throw CommandFault(
        "\(path) is built for version \(version) of fgnet_stage.h, the daemon has \(FGNET_STAGE_ABI); build it again with the header of this release"
      )
    }
    let describe = unsafeBitCast(try symbol("fgnet_stage_describe"), to: fgnet_describe_function.self)
    create = unsafeBitCast(try symbol("fgnet_stage_create"), to: fgnet_create_function.self)
    destroy = unsafeBitCast(try symbol("fgnet_stage_destroy"), to: fgnet_destroy_function.self)
    guard let described = describe() else { throw CommandFault("\(path) does not describe itself") }
    self.path = path
    (description, optionTypes) = try Self.read(described)
    try description.checkOptions()
    guard description.kind == kind else {
      throw CommandFault(
        "\(path) has a stage of the kind \(description.kind.rawValue), but is configured as \(kind.rawValue)")
    }
    run = try symbol("fgnet_stage_run_\(kind.rawValue)")
  }

  private static func read(
    _ pointer: UnsafePointer<fgnet_description>
  ) throws(CommandFault) -> (ExternalDescription, [Int32]) {
    let size = Int(pointer.pointee.size)
    guard size >= MemoryLayout<fgnet_description>.size else {
      throw CommandFault(
        "its fgnet_description has the size \(size) instead of \(MemoryLayout<fgnet_description>.size)")
    }
    let kinds: [Int32: StageKind] = [0: .denoise, 1: .affinity, 2: .watershed, 3: .agglomerate]
    guard let kind = kinds[pointer.pointee.kind] else { throw CommandFault("its kind \(pointer.pointee.kind) is none") }
    let version = text(pointer.pointee.version)
    guard !version.isEmpty else { throw CommandFault("it gives no version") }
    var options: [OptionDescription] = []
    var types: [Int32] = []
    var next = pointer.pointee.options
    while let option = next?.pointee {
      guard options.count < 1000 else { throw CommandFault("its list of options does not end") }
      options.append(try read(option))
      types.append(option.pointee.type)
      next = next?.successor()
    }
    return (
      ExternalDescription(kind: kind, version: version, summary: text(pointer.pointee.summary), options: options), types
    )
  }

  private static func read(_ pointer: UnsafePointer<fgnet_option>) throws(CommandFault) -> OptionDescription {
    guard Int(pointer.pointee.size) >= MemoryLayout<fgnet_option>.size else {
      throw CommandFault(
        "an fgnet_option of it has the size \(pointer.pointee.size) instead of \(MemoryLayout<fgnet_option>.size)")
    }
    let option = pointer.pointee
    let name = text(option.name)
    func range() throws(CommandFault) -> ClosedRange<Double> {
      guard option.minimum <= option.maximum else {
        throw CommandFault("its option \(name) has a minimum above its maximum")
      }
      return option.minimum...option.maximum
    }
    let type: OptionType
    var value: OptionValue
    switch Int(option.type) {
    case FGNET_BOOL:
      type = .bool
      value = .bool(option.default_integer != 0)
    case FGNET_INT:
      let range = try range()
      guard let low = Int(exactly: range.lowerBound), let high = Int(exactly: range.upperBound) else {
        throw CommandFault("its option \(name) needs a minimum and a maximum that are whole numbers")
      }
      type = .int(low...high)
      value = .int(Int(option.default_integer))
    case FGNET_NUMBER:
      type = .double(try range())
      value = .double(option.default_number)
    case FGNET_CHOICE:
      var choices: [String] = []
      var next = option.choices
      while let choice = next?.pointee, choices.count < 1000 {
        choices.append(text(choice))
        next = next?.successor()
      }
      type = .choice(choices)
      value = .string(text(option.default_text))
    case FGNET_PATH:
      type = .path
      value = .string(text(option.default_text))
    case FGNET_TEXT:
      type = .text
      value = .string(text(option.default_text))
    default: throw CommandFault("its option \(name) has the unknown type \(option.type)")
    }
    return OptionDescription(name, type, default: option.has_default != 0 ? value : nil, text(option.summary))
  }

  private static func text(_ pointer: UnsafePointer<CChar>?) -> String {
    pointer.map { CommandHeaders.readable(String(cString: $0)) } ?? ""
  }
}
