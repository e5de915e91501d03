// Store+RevocationsTests: what was revoked comes back as it was told last, in its order, and goes when it is forgotten.
import Base
import Domain
import Testing

@testable import Storage

struct StoreRevocationsTests {
    @Test("revocations come back as they were written last, in the order of their numbers, also from a file that is opened again")
    func roundTrip() throws {
        let scratch = try Scratch()
        let full = Revocation(number: 9, user: SharedBytes("ü \"u\""), before: -1, revokedAt: time(5), revokedBy: SharedBytes("root"))
        do {
            var rig = try Rig(scratch.location)
            try rig.write([full, revocation(1, "a"), revocation(2, "b"), revocation(5, "a", before: .max)].map { .revoked($0) })
            #expect(try rig.recover().revocations == [revocation(2, "b"), revocation(5, "a", before: .max), full])
            try rig.journal.close()
        }
        var rig = try Rig(scratch.location)
        // One that was written twice is there once.
        try rig.write(.revoked(full), .revocationRemoved(SharedBytes("b")), .revocationRemoved(SharedBytes("nobody")))
        #expect(try rig.recover().revocations == [revocation(5, "a", before: .max), full])
        try rig.write(.revocationRemoved(SharedBytes("a")), .revoked(revocation(10, "a")))
        #expect(try rig.recover().revocations == [full, revocation(10, "a")])
    }

    @Test("they stay when the history is forgotten")
    func forgetting() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .ended(ending(1)), .revoked(revocation(1, "a")))
        #expect(try rig.forget(before: 1_000_000) > 0)
        #expect(try rig.recover().revocations == [revocation(1, "a")])
    }
}
