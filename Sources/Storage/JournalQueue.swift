// JournalQueue: where a journal does its work: one piece after the other, in the order in which they came. In the program that is a serial
// dispatch queue, a thread beside the loop's; in a simulation it is a list of which somebody takes a piece when it is time.
public import Dispatch

/// A line of work that is done piece by piece.
public protocol JournalQueue: Sendable {
    /// Has a piece done behind all that came before it. Does not wait.
    func add(_ work: @escaping @Sendable () -> Void)

    /// Has a piece done behind all that came before it, and waits for it.
    func wait(_ work: @Sendable () -> Void)
}

extension DispatchQueue: JournalQueue {
    public func add(_ work: @escaping @Sendable () -> Void) { async(execute: work) }
    public func wait(_ work: @Sendable () -> Void) { sync(execute: work) }
}
