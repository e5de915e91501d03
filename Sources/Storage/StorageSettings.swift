// StorageSettings: where the data lies and every number that bounds the storage, each with its reason. Filled once, at start.
public import Base

/// Where the data lies.
public enum StorageLocation: Sendable, Equatable {
    /// A directory, which is made where it is missing; its parent must be there.
    case directory(String)
    /// Nothing outlives the process. The same tables, in memory: history can be asked for, and the oldest of it goes when the room is
    /// full.
    case memory

    /// `:memory:` means memory; anything else is a directory.
    public init(_ text: String) {
        self = text == ":memory:" ? .memory : .directory(text)
    }
}

/// What a commit of promises survives.
public enum Durability: Sendable, CaseIterable {
    /// The end of the process, by whatever signal, and the loss of power.
    case powerLoss
    /// The end of the process; the loss of power may take the last commits.
    case processEnd
}

/// The storage's bounds. Bytes are bytes, times are `TimeSpan`s, counts are counts.
public struct StorageSettings: Sendable {
    public var durability = Durability.powerLoss
    /// Records of one transaction: some 30 ms of writing, so that whoever waits behind it does not wait long.
    public var commitRecordsMax = 4_096
    /// Bytes of one transaction: what a disk takes in a few dozen milliseconds.
    public var commitBytesMax = 16 << 20
    /// Bytes that may wait to be written; beyond it a batch is refused. Four of the largest payloads, or some 100,000 small records.
    public var backlogBytesMax = 64 << 20
    /// Questions that may wait.
    public var waitingQueriesMax = 1_024
    /// Bytes of one answer; what does not fit is asked for by the next question.
    public var answerBytesMax = 16 << 20
    /// How long a commit waits for another process that holds the database, such as a shell.
    public var busyTimeout = TimeSpan.milliseconds(250)
    /// Pages of 4 KiB that the write-ahead log collects before they are moved home: 16 MiB.
    public var checkpointPages = 4_096
    /// Pages of 4 KiB of the database in memory: 256 MiB.
    public var memoryPagesMax = 65_536
    /// Pages of 4 KiB of the database's file; nil for as many as the disk has.
    public var filePagesMax: Int?
    /// SQLite's own cache.
    public var cacheBytes = 16 << 20
    /// Activities that are kept; the oldest go: some 250 MB. A busy server notes a hundred in a second.
    public var activitiesMax = 1_000_000
    /// Bytes of a payload that stands in its task's row, and stays there as long as that does: half a gigabyte for a million tasks. A
    /// larger one stands beside it and goes when the task ends.
    public var payloadInRowMax = 512
    /// Tasks that a process looks at one by one when it begins, besides those that live: a few milliseconds.
    public var unmarkedTasksMax = 4_096
    /// Rows of each table that one step of forgetting removes: a few milliseconds.
    public var sweepRows = 500

    public init() {}
}
