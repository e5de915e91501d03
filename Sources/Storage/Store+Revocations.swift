// Store+Revocations: what the records of revoked tokens leave in the tables, and how all of them are read at the start: their number is
// bounded by whoever keeps them. Not the transaction around them (Store).
//
// Cost: one prepared statement each; people are revoked rarely.
import Base
import Domain

extension Store {
    /// The newest word about a user stands.
    func keep(_ revocation: Revocation, _ database: inout Database) throws(StorageError) {
        try database.run(.keepRevocation) {
            $0.add(sequence: revocation.number)
            $0.add(text: revocation.user)
            $0.add(revocation.before)
            $0.add(revocation.revokedAt)
            $0.add(text: revocation.revokedBy)
        }
    }

    func revocations() throws(StorageError) -> [Revocation] {
        var revocations: [Revocation] = []
        try database.rows(.readRevocations) { row throws(StorageError) in
            let (number, user, before) = (row.sequence(), row.bytes(), row.number())
            revocations.append(Revocation(
                number: number, user: user, before: before, revokedAt: row.time(), revokedBy: row.optionalBytes()))
            return true
        }
        return revocations
    }
}
