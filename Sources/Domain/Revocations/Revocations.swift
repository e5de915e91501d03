// Revocations: whose tokens are refused, one entry a user, in the order in which they were asked for. Nothing goes by itself: how long a
// token is good is its issuer's to say, and some are good for ever, so that nobody but an operator knows when an entry has done its work.
//
// Cost: to look one up is a look into a table, and nothing at all while there are none; an entry is some 250 bytes. To change one moves 8
// bytes for each that is newer.
public import Base

public struct Revocations {
    private final class Entry {
        let revocation: Revocation
        init(_ revocation: Revocation) { self.revocation = revocation }
    }

    /// Users that may have revoked tokens.
    public let countMax: Int
    private var byUser: [SharedBytes: Entry] = [:]
    /// By their numbers.
    private var entries: [Entry] = []
    private var lastNumber: UInt64 = 0

    public init(countMax: Int) { self.countMax = countMax }

    public var count: Int { entries.count }

    /// The user's revocation; nil where there is none.
    public subscript(user: SharedBytes) -> Revocation? { byUser[user]?.revocation }

    // MARK: Who is meant

    /// Whether somebody's token is revoked. Who has shown none has none.
    public func covers(_ principal: Principal) -> Bool { !byUser.isEmpty && covers(principal.credential) }

    public func covers(_ credential: Credential?) -> Bool {
        guard !byUser.isEmpty, let credential, let entry = byUser[credential.user] else { return false }
        return entry.revocation.covers(credential.issuedAt)
    }

    // MARK: Changes

    /// Refuses a user's tokens from now on. What an earlier revocation refuses stays refused.
    ///
    /// - Parameters:
    ///   - before: the last second whose tokens are meant.
    ///   - revoker: who asks for it.
    /// - Returns: what is to be written down.
    public mutating func revoke(
        _ user: SharedBytes, before: Int64, by revoker: SharedBytes?, at now: WallTime
    ) throws(RevocationRefusal) -> Revocation {
        let known = byUser[user]?.revocation
        guard known != nil || count < countMax else { throw .tooMany }
        if let known { remove(known) }
        let revocation = Revocation(
            number: lastNumber + 1, user: user, before: max(before, known?.before ?? before), revokedAt: now, revokedBy: revoker)
        append(revocation)
        return revocation
    }

    /// Takes the user's tokens again, those that were revoked as well.
    public mutating func forget(_ user: SharedBytes) throws(RevocationRefusal) {
        guard let known = byUser[user]?.revocation else { throw .unknown }
        remove(known)
    }

    /// Takes up again what an earlier process was told.
    ///
    /// - Parameter kept: in the order of their numbers, one a user.
    /// - Precondition: nothing was revoked yet.
    public mutating func restore(_ kept: [Revocation]) {
        for revocation in kept { append(revocation) }
    }

    private mutating func append(_ revocation: Revocation) {
        precondition(revocation.number > lastNumber, "revocation \(revocation.number) after \(lastNumber)")
        let entry = Entry(revocation)
        precondition(byUser.updateValue(entry, forKey: revocation.user) == nil, "two revocations of \(revocation.user)")
        entries.append(entry)
        lastNumber = revocation.number
    }

    private mutating func remove(_ revocation: Revocation) {
        byUser[revocation.user] = nil
        entries.remove(at: place(of: revocation.number))
    }

    // MARK: Pages

    /// Some of them, newest first.
    ///
    /// - Parameter number: only those before this one; nil for a first page.
    public func page(before number: UInt64?, limit: Int) -> (revocations: [Revocation], hasMore: Bool) {
        let end = number.map { place(of: $0) } ?? count
        let start = max(end - limit, 0)
        return (entries[start..<end].reversed().map(\.revocation), start > 0)
    }

    /// The place of the first entry whose number is not below this one.
    private func place(of number: UInt64) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].revocation.number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
