import Glibc
import Volumes

exit(HDF5Worker.run(CommandLine.arguments))
