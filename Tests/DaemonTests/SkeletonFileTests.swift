import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// A folder that is removed with its last reference.
final class ScratchFolder: Sendable {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "fgnetd-scratch-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult
  func write(_ text: String, _ name: String) throws -> String {
    try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
    return path + "/" + name
  }

  /// A folder of label planes, 000.png and on.
  func planes(_ name: String, _ planes: [Plane<UInt16>]) throws -> String {
    let folder = path + "/" + name
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (k, plane) in planes.enumerated() {
      try PNGWriter.write(gray: plane, to: folder + "/" + String(format: "%03d.png", k))
    }
    return folder
  }
}

@Suite struct SkeletonFileTests {
  private func complaint(_ path: String) -> String {
    do { return "\(try SkeletonFile.read(path).count) skeletons" } catch { return "\(error)" }
  }

  @Test func swcFilesOfAFolderAreOneNeuronEach() throws {
    let folder = try ScratchFolder()
    try folder.write("# traced\r\n1 1 30 20 10 1.0 -1\r\n\r\n3 0 50 20 10 1 2\r\n  2 0 40 20 10 1 1\r\n", "b.swc")
    try folder.write("7 1 1.5 2.5 3e2 0 -1\n", "a.SWC")
    try folder.write("not a skeleton", "notes.txt")
    let skeletons = try SkeletonFile.read(folder.path)
    #expect(skeletons.map(\.name) == ["a", "b"])
    #expect(skeletons[0] == Skeleton(name: "a", nodes: [.init(z: 300, y: 2.5, x: 1.5)], edges: []))
    #expect(skeletons[1].nodes.map(\.x) == [30, 50, 40])
    #expect(skeletons[1].edges == [.init(2, 1), .init(0, 2)])
    #expect(try SkeletonFile.read(folder.path + "/b.swc") == [skeletons[1]])
  }

  @Test func csvHoldsSeveral() throws {
    let folder = try ScratchFolder()
    let path = try folder.write(
      "skeleton,node,parent,z_nm,y_nm,x_nm\nn2,1,-1,0,1,2\nn1,1,,30,4,5\nn2, 2 ,1,0,1,8\n", "all.csv")
    let skeletons = try SkeletonFile.read(path)
    #expect(skeletons.map(\.name) == ["n2", "n1"])
    #expect(skeletons[0].edges == [.init(0, 1)] && skeletons[0].nodes[1] == .init(z: 0, y: 1, x: 8))
    #expect(skeletons[1].nodes == [.init(z: 30, y: 4, x: 5)] && skeletons[1].edges.isEmpty)
  }

  @Test func mistakesAreNamedWithTheirLine() throws {
    let folder = try ScratchFolder()
    #expect(complaint(folder.path).contains("no SWC file"))
    #expect(complaint(folder.path + "/none.swc").contains("does not exist"))
    #expect(complaint(try folder.write("1 1 0 0 0 1 -1\n2 1 0 0\n", "a.swc")).contains("line 2"))
    #expect(complaint(try folder.write("1 1 0 0 zero 1 -1\n", "b.swc")).contains("line 1: a node needs"))
    #expect(complaint(try folder.write("1 1 0 0 nan 1 -1\n", "n.swc")).contains("line 1: a node needs"))
    #expect(complaint(try folder.write("1 1 0 0 0 1 -1\n1 1 0 0 0 1 -1\n", "c.swc")).contains("twice"))
    #expect(complaint(try folder.write("1 1 0 0 0 1 8\n", "d.swc")).contains("no other node 8"))
    #expect(complaint(try folder.write("1 1 0 0 0 1 1\n", "e.swc")).contains("no other node 1"))
    #expect(complaint(try folder.write("id,z,y,x\n", "f.csv")).contains("does not begin with"))
    let header = "skeleton,node,parent,z_nm,y_nm,x_nm\n"
    #expect(complaint(try folder.write(header + "a,1,-1,0,0\n", "g.csv")).contains("line 2"))
    #expect(complaint(try folder.write(header, "h.csv")) == "0 skeletons")
  }

  @Test func nodesAreLookedUpInTheirVoxel() throws {
    let folder = try ScratchFolder()
    var plane = Plane<UInt16>(height: 4, width: 5, repeating: 3)
    plane[2, 1] = 9
    let labels = try folder.planes("labels", [Plane(height: 4, width: 5, repeating: 1), plane])
    let source = try LabelSource.open(labels)
    let found = try ScoredSections(source, name: labels, images: nil, firstZ: 10)
    let places: [Skeleton.Node] = [
      .init(z: 330, y: 12, x: 6), .init(z: 359.9, y: 17.9, x: 11.9), .init(z: 329.9, y: 12, x: 6),
      .init(z: 330, y: 24, x: 6), .init(z: 330, y: -0.1, x: 6), .init(z: 360, y: 0, x: 0), .init(z: 1e30, y: 0, x: 0),
      .init(z: 330, y: 0, x: 0), .init(z: 330, y: 1e300, x: 0),
    ]
    let lookup = SkeletonLookup([Skeleton(name: "a", nodes: places, edges: [])], voxelSize: (30, 6, 6))
    #expect(try lookup.segments(in: found) == [[9, 9, 1, nil, nil, nil, nil, 3, nil]])
  }
}
