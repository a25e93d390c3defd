import FUSEBridge
import LinuxIO
import SharedMemory
import Testing
