// Links: the open connections of a run: one receive buffer for all, one epoll, and for each what its socket did not take yet.
// Knows bytes; frames and responses are the runs' affair.
//
// Cost: a receive and a send are one system call each, some 2 µs, which dominates; a link owns memory only while its socket is full.

import Base
import CLinux
import Glibc
import LoadSupport

// @safe: the receive buffer is this object's own and lives as long; views of it are made with the count that `recv` gave.
@safe
final class Links {
    /// What a read brought.
    enum Received {
        /// So many bytes, at the start of the buffer.
        case bytes(Int)
        case nothing
        case ended
    }

    /// Room for everything that a depth of some thousand small messages brings in one read.
    private static let receiveBytes = 256 * 1024
    /// Failures that are told in words; the rest is only counted.
    private static let notesMax = 5

    private(set) var count = 0
    private let poller: Poller
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    /// nil for those that are closed.
    private var wires: [Wire?] = []
    private var unsent: [[UInt8]] = []
    private var unsentStart: [Int] = []

    /// Links that failed or that the server closed.
    private(set) var failures = 0

    init(_ dialed: [Dialed]) throws(RunError) {
        unsafe buffer = .allocate(capacity: Self.receiveBytes)
        unsafe buffer.initialize(repeating: 0)
        poller = try Poller()
        try add(dialed)
    }

    /// Adds connections, whose links are numbered on from those that are there.
    func add(_ dialed: [Dialed]) throws(RunError) {
        for one in dialed {
            wires.append(one.wire)
            unsent.append([])
            unsentStart.append(0)
            try poller.add(one.wire.socket, token: count, events: Poller.input)
            count += 1
        }
    }

    deinit {
        for wire in wires { wire?.close() }
        unsafe buffer.deallocate()
    }

    func isOpen(_ link: Int) -> Bool { wires[link] != nil }

    func wait(milliseconds: Int32) -> Int { poller.wait(milliseconds: milliseconds) }

    /// Waits until something is ready, but not beyond a point of time.
    func wait(until due: UInt64) -> Int { poller.wait(until: due) }

    func ready(_ index: Int) -> Poller.Ready { poller[index] }

    /// Reads once. A read that does not fill the buffer emptied the socket; if it filled it, epoll comes back.
    func receive(_ link: Int) -> Received {
        guard let wire = wires[link] else { return .nothing }
        let received = unsafe wire.read(into: UnsafeMutableRawBufferPointer(buffer))
        if received > 0 { return .bytes(received) }
        if received < 0, errno == EAGAIN || errno == EINTR { return .nothing }
        fail(link, received == 0 ? "closed by the server" : "recv failed with errno \(errno)")
        return .ended
    }

    /// The first `count` bytes of the buffer, until the next receive.
    func withReceived(_ count: Int, _ body: (Span<UInt8>) -> Void) {
        body(unsafe UnsafeBufferPointer(rebasing: buffer[..<count]).span)
    }

    /// Sends what a writer holds.
    func send(_ output: borrowing ByteWriter, on link: Int) { send(output.span, on: link) }

    /// Sends, or keeps what the socket does not take and sends it as soon as it does.
    func send(_ bytes: Span<UInt8>, on link: Int) {
        guard let wire = wires[link], bytes.count > 0 else { return }
        var sent = 0
        if unsent[link].isEmpty {
            sent = unsafe bytes.withUnsafeBytes { unsafe wire.write($0) }
            if sent == bytes.count { return }
            if sent < 0 {
                guard errno == EAGAIN || errno == EINTR else {
                    fail(link, "send failed with errno \(errno)")
                    return
                }
                sent = 0
            }
            watch(link, Poller.input | Poller.output)
        }
        unsafe bytes.extracting(sent...).withUnsafeBufferPointer { unsafe unsent[link].append(contentsOf: $0) }
    }

    /// Sends what had to wait.
    func flush(_ link: Int) {
        guard let wire = wires[link], !unsent[link].isEmpty else { return }
        let start = unsentStart[link]
        let sent = unsafe unsent[link].withUnsafeBytes { unsafe wire.write(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        if sent < 0 {
            if errno != EAGAIN, errno != EINTR { fail(link, "send failed with errno \(errno)") }
            return
        }
        unsentStart[link] += sent
        guard unsentStart[link] == unsent[link].count else { return }
        unsent[link] = []
        unsentStart[link] = 0
        watch(link, Poller.input)
    }

    /// Drops a link for a reason that is not the run's wish.
    func fail(_ link: Int, _ reason: String) {
        guard wires[link] != nil else { return }
        failures += 1
        if failures <= Self.notesMax { Notes.say("connection \(link): \(reason)") }
        close(link)
    }

    /// Closes a link that is needed no more.
    func close(_ link: Int) {
        wires[link]?.close()
        wires[link] = nil
        unsent[link] = []
        unsentStart[link] = 0
    }

    private func watch(_ link: Int, _ events: UInt32) {
        guard let wire = wires[link] else { return }
        do {
            try poller.change(wire.socket, token: link, events: events)
        } catch {
            fail(link, error.reason)
        }
    }
}
