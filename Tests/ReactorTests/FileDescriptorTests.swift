// Descriptors with one owner, and how many there may be.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct FileDescriptorTests {
    @Test("a descriptor is closed when its owner lets go")
    func closedOnce() {
        var ends: [Int32] = [0, 0]
        unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        do {
            let owned = FileDescriptor(owning: ends[0])
            #expect(fcntl(owned.raw, F_GETFD) >= 0)
        }
        var byte: UInt8 = 0
        // The other end hears of it; the number itself may be somebody else's by now.
        #expect(unsafe recv(ends[1], &byte, 1, 0) == 0)
        FileDescriptor.close(ends[1])
    }

    @Test("the soft limit of descriptors is raised to the hard one")
    func limit() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            _ = unsafe signalbox_descriptor_limit(&limit)
            limit.rlim_cur = limit.rlim_max - 1
            _ = unsafe signalbox_set_descriptor_limit(&limit)
            let raised = try DescriptorLimit.raise()
            #expect(raised == Int(clamping: limit.rlim_max))
            _ = unsafe signalbox_descriptor_limit(&limit)
            #expect(limit.rlim_cur == limit.rlim_max)
        }
    }
}
