// Ring: a first-in-first-out row of at most so many. It never grows beyond its capacity: whoever fills it says first what is to happen
// when it is full. Memory is taken as elements come, so that a short row of a large capacity stays small.

/// A first-in-first-out queue of fixed capacity, oldest first.
public struct Ring<Element> {
    /// Place `n` is the place of every element whose number since the start is `n` modulo the capacity.
    @usableFromInline var places: [Element?] = []
    @usableFromInline var head = 0
    @inlinable public var count: Int { held }
    @usableFromInline var held = 0
    /// Elements that may be held.
    public let capacity: Int

    /// - Parameter expected: elements for which memory is taken at once.
    public init(capacity: Int, expecting expected: Int = 0) {
        precondition(capacity > 0, "a ring of \(capacity) places")
        self.capacity = capacity
        if expected > 0 { places.reserveCapacity(min(expected, capacity)) }
    }

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var isFull: Bool { count == capacity }

    /// Adds the newest element.
    ///
    /// - Precondition: the ring is not full.
    @inlinable
    public mutating func append(_ element: Element) {
        precondition(count < capacity, "a ring of \(capacity) places is full")
        let place = place(count)
        if place == places.count { places.append(element) } else { places[place] = element }
        held += 1
    }

    /// Takes the oldest element out.
    @discardableResult
    @inlinable
    public mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = places[head].take()
        head = place(1)
        held -= 1
        return element
    }

    /// The oldest element.
    @inlinable public var first: Element? { count > 0 ? places[head] : nil }

    /// The newest element.
    @inlinable public var last: Element? { count > 0 ? places[place(count - 1)] : nil }

    /// The element that `index` older ones stand before.
    ///
    /// - Precondition: `index` lies within `0..<count`.
    @inlinable
    public subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count, "element \(index) of \(count)")
        guard let element = places[place(index)] else { preconditionFailure("place \(index) of \(count) is empty") }
        return element
    }

    /// Drops everything and gives the memory back.
    public mutating func removeAll() {
        places = []
        head = 0
        held = 0
    }

    @inlinable
    func place(_ index: Int) -> Int {
        let sum = head &+ index
        return sum < capacity ? sum : sum &- capacity
    }
}

extension Ring: Sendable where Element: Sendable {}
