import Domain
import Foundation

/// Reads skeletons: an SWC file, a folder of them (one neuron each), or a CSV file `skeleton,node,parent,z_nm,y_nm,x_nm`.
///
/// SWC lines are `node type x y z radius parent`, in nanometres; `#` begins a comment. A root's parent is -1 (in CSV also
/// empty). A node may come before its parent. One file or one name in the first CSV column is one skeleton.
enum SkeletonFile {
  private struct Row {
    var line: Int
    var node: String
    var parent: String?
    var place: Skeleton.Node
  }

  static func read(_ path: String) throws -> [Skeleton] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw OperatorError("\(path) does not exist; give an SWC or CSV file, or a folder of SWC files", status: .noInput)
    }
    if isFolder.boolValue {
      let names = try FileManager.default.contentsOfDirectory(atPath: path).filter {
        $0.lowercased().hasSuffix(".swc") && !$0.hasPrefix(".")
      }
      guard !names.isEmpty else { throw OperatorError("no SWC file is in \(path)", status: .noInput) }
      return try names.sorted().map { try swc("\(path)/\($0)") }
    }
    return path.lowercased().hasSuffix(".csv") ? try csv(path) : [try swc(path)]
  }

  private static func lines(_ path: String) throws -> [(number: Int, text: Substring)] {
    guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8) else {
      throw OperatorError(
        "\(path) cannot be read as text; check its permissions and that it is UTF-8", status: .badData)
    }
    return text.split(omittingEmptySubsequences: false) { $0.isNewline }.enumerated().compactMap { index, line in
      let bare = line.trimmingPrefix { $0.isWhitespace }
      return bare.isEmpty || bare.hasPrefix("#") ? nil : (index + 1, bare)
    }
  }

  private static func swc(_ path: String) throws -> Skeleton {
    let rows = try lines(path).map { number, line in
      let fields = line.split(whereSeparator: { $0.isWhitespace })
      guard fields.count >= 7 else {
        throw fault(
          path, number, "an SWC line has seven fields, node type x y z radius parent; this one has \(fields.count)")
      }
      return try row(path, number, node: fields[0], parent: fields[6], zyx: [fields[4], fields[3], fields[2]])
    }
    return try skeleton(URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent, rows, path)
  }

  private static func csv(_ path: String) throws -> [Skeleton] {
    let lines = try lines(path)
    let header = "skeleton,node,parent,z_nm,y_nm,x_nm"
    guard let first = lines.first, fields(first.text) == header.split(separator: ",") else {
      throw OperatorError("\(path) does not begin with the line \(header)", status: .badData)
    }
    var names: [String] = []
    var rows: [String: [Row]] = [:]
    for (number, line) in lines.dropFirst() {
      let fields = fields(line)
      guard fields.count == 6 else { throw fault(path, number, "there are \(fields.count) fields instead of six") }
      let name = String(fields[0])
      if rows[name] == nil { names.append(name) }
      rows[name, default: []].append(
        try row(path, number, node: fields[1], parent: fields[2], zyx: Array(fields[3...])))
    }
    return try names.map { try skeleton($0, rows[$0] ?? [], path) }
  }

  private static func fields(_ line: Substring) -> [Substring] {
    line.split(separator: ",", omittingEmptySubsequences: false).map { field in
      var bare = field.drop { $0.isWhitespace }
      while bare.last?.isWhitespace == true { bare.removeLast() }
      return bare
    }
  }

  private static func row(
    _ path: String, _ line: Int, node: Substring, parent: Substring, zyx: [Substring]
  ) throws -> Row {
    let values = zyx.compactMap { Double($0) }.filter(\.isFinite)
    guard values.count == 3, !node.isEmpty else {
      throw fault(path, line, "a node needs a name and three numbers for its place")
    }
    return Row(
      line: line, node: String(node), parent: parent.isEmpty || parent == "-1" ? nil : String(parent),
      place: Skeleton.Node(z: values[0], y: values[1], x: values[2]))
  }

  private static func skeleton(_ name: String, _ rows: [Row], _ path: String) throws -> Skeleton {
    var indices: [String: Int] = [:]
    for (index, row) in rows.enumerated() {
      guard indices.updateValue(index, forKey: row.node) == nil else {
        throw fault(path, row.line, "node \(row.node) of skeleton \(name) is there twice")
      }
    }
    var edges: [Skeleton.Edge] = []
    for (index, row) in rows.enumerated() {
      guard let parent = row.parent else { continue }
      guard let other = indices[parent], other != index else {
        throw fault(path, row.line, "skeleton \(name) has no other node \(parent), the parent of \(row.node)")
      }
      edges.append(Skeleton.Edge(other, index))
    }
    return Skeleton(name: name, nodes: rows.map(\.place), edges: edges)
  }

  private static func fault(_ path: String, _ line: Int, _ reason: String) -> OperatorError {
    OperatorError("\(path), line \(line): \(reason)", status: .badData)
  }
}
