// IdempotencyKey: whose a key is: the same one of two users names two tasks.
internal import Base
internal import Domain

extension Principal {
    /// Between a user and a key: users' ids have no control characters, so that two pairs never make one text.
    private static let unitSeparator: UInt8 = 0x1f

    /// An idempotency key as it is remembered: it belongs to its user, and to everybody alike where nobody said who he is.
    func own(_ key: SharedBytes) -> SharedBytes {
        var text = ByteWriter(capacity: (user?.count ?? 0) + 1 + key.count)
        if let user { text.append(user) }
        text.append(Principal.unitSeparator)
        text.append(key)
        return text.take()
    }
}
