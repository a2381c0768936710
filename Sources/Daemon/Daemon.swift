public enum Fgnetd { public static func main() {} }
