import Daemon

Fgnetd.main()
