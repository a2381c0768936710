import DB
import Foundation
import Testing

@testable import Daemon

extension ProgramTests {
  @Test func aServerOfTheLabIsPreparedByItsOwner() throws {
    let bench = try Bench(size: 96)
    let cluster = EmbeddedCluster(directory: bench.folder + "/lab")
    defer { try? cluster.stop() }
    let place = try cluster.start()
    let superuser = try Connection(place)
    try superuser.script("create role lab_owner login")
    try superuser.script("create database lab owner lab_owner")
    let lab = place.replacingOccurrences(of: "dbname=fgnet", with: "dbname=lab")
    let file = try configurationFile(bench)
    let owner = lab.replacingOccurrences(of: "user=fgnet", with: "user=lab_owner")
    var done = try run("init-database", "--config", file, "--url", owner)
    #expect(done.status == 0 && done.output.contains("schema steps applied: initial"), "\(done.output)\(done.errors)")
    #expect(done.output.contains("fgnetd init-database --print-roles"), "\(done.output)")
    let roles = try run("init-database", "--print-roles").output
    try superuser.script(roles)
    done = try run("init-database", "--config", file, "--url", owner)
    #expect(done.output.contains("up to date") && done.output.contains("rows are guarded"), "\(done.output)")
    done = try run("init-database", "--config", file)
    #expect(done.status == ExitStatus.usage.rawValue && done.errors.contains("names no server"), "\(done.errors)")
    done = try run("init-database", "--config", file, "--url", lab + " password=secret port=1")
    #expect(done.status == ExitStatus.unavailable.rawValue && !done.errors.contains("secret"), "\(done.errors)")
  }
}
