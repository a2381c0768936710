import Daemon

Fgnetd.start()
