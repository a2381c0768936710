import DB
import Domain
import Testing

/// `fgnetd set-aside`: the run, the operation and the section's row are one transaction.
@Suite struct SetAsideTests {
  @Test func aRefusalLeavesNothing() throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    let connection = stack.database.connection
    func rows() throws -> [Int] {
      try ["run", "operation"].map { try connection.execute("select from \($0)").count }
    }
    func setAside() throws(DatabaseError) {
      try stack.record.setAside(volume: stack.volume, z: 0, reason: "no use", codeVersion: "test")
    }
    let before = try rows()
    try connection.script(
      """
      create function fail() returns trigger language plpgsql as $$ begin raise exception 'no more'; end $$;
      create trigger fail before update on section for each row when (new.state = 'set_aside') execute function fail();
      """)
    #expect(throws: DatabaseError.server(sqlstate: "P0001", message: "no more")) { try setAside() }
    #expect(try rows() == before)
    #expect(try stack.record.section(stack.volume, z: 0)?.state == .received)
    try connection.script("drop trigger fail on section")
    try setAside()
    let after = try rows()
    #expect(after == before.map { $0 + 1 })
    #expect(try stack.record.setAside(stack.volume).map(\.reason) == ["no use"])
    #expect(throws: DatabaseError.conflict("section 0 is not there to be set aside")) { try setAside() }
    #expect(try rows() == after)
  }
}
