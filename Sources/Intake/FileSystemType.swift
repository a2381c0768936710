import CLinux

/// The kind of file system a folder lies on.
public struct FileSystemType: Sendable, Equatable {
  /// As mount(8) calls it; "type 0x..." where the number is not known here.
  public var name: String
  /// Whether inotify tells of every change: not where other computers, or a program behind the mount, change files.
  public var tellsEvents: Bool

  public init(name: String, tellsEvents: Bool) {
    self.name = name
    self.tellsEvents = tellsEvents
  }

  /// By the number of statfs(2).
  public init(number: UInt64) {
    if let name = Self.silent[number] {
      self.init(name: name, tellsEvents: false)
    } else {
      self.init(name: Self.local[number] ?? "type 0x" + String(number, radix: 16), tellsEvents: true)
    }
  }

  /// Of the file system that holds `path`; nil when it cannot be told.
  public init?(holding path: String) {
    let number = clinux_file_system(path)
    guard number != 0 else { return nil }
    self.init(number: number)
  }

  private static let silent: [UInt64: String] = [
    0x6969: "nfs", 0x517B: "smb", 0xFF53_4D42: "cifs", 0xFE53_4D42: "smb3", 0x0BD0_0BD0: "lustre", 0x6573_5546: "fuse",
    0x00C3_6400: "ceph", 0x4750_4653: "gpfs", 0x5346_414F: "afs", 0x6B41_4653: "afs", 0x7375_7245: "coda",
    0x0102_1997: "9p", 0x1983_0326: "beegfs", 0x7461_636F: "ocfs2", 0x0116_1970: "gfs2", 0xAAD7_AAEA: "panfs",
    0x786F_4256: "vboxsf", 0x564C: "ncpfs", 0xBACB_ACBC: "vmhgfs", 0x7C7C_6673: "prl_fs", 0x2003_0528: "orangefs",
    0x0187: "autofs",
  ]

  private static let local: [UInt64: String] = [
    0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0x2FC1_2FC1: "zfs", 0x0102_1994: "tmpfs",
    0x794C_7630: "overlay", 0x4D44: "vfat", 0x2011_BAB0: "exfat", 0x5346_544E: "ntfs", 0x7366_746E: "ntfs3",
    0xF2F5_2010: "f2fs", 0xCA45_1A4E: "bcachefs", 0x3153_464A: "jfs", 0x5265_4973: "reiserfs", 0x9660: "iso9660",
    0x1501_3346: "udf", 0x7371_7368: "squashfs",
  ]
}
