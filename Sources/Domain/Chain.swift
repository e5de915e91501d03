// Chain: a row of elements in the order of their last use, where any of them can be taken out or moved to the end. Slots name elements;
// a slot is used again, so whoever keeps one asks the element whether it is still the one that was meant.
//
// Cost: every operation is a few stores; memory doubles, and goes back when the chain is empty.

struct Chain<Element> {
    private struct Link {
        var element: Element?
        /// The neighbours' slots; a free link's `next` is the next free one.
        var previous: Int
        var next: Int
    }

    private var links: [Link] = []
    private var firstFree = Chain.none
    private(set) var first = Chain.none
    private(set) var last = Chain.none
    private(set) var count = 0

    /// No slot.
    static var none: Int { -1 }

    var isEmpty: Bool { count == 0 }

    /// Adds an element behind all others.
    mutating func append(_ element: Element) -> Int {
        let slot: Int
        if firstFree == Chain.none {
            slot = links.count
            links.append(Link(element: element, previous: Chain.none, next: Chain.none))
        } else {
            slot = firstFree
            firstFree = links[slot].next
            links[slot].element = element
        }
        attach(slot)
        count += 1
        return slot
    }

    /// The element in the slot; nil where there is none, and a slot that never was has none either.
    @inline(__always)
    subscript(slot: Int) -> Element? { links.indices.contains(slot) ? links[slot].element : nil }

    /// The slot behind this one; the slot has an element.
    func slot(after slot: Int) -> Int { links[slot].next }

    /// The slot before this one; the slot has an element.
    func slot(before slot: Int) -> Int { links[slot].previous }

    /// Changes the element in place.
    @inline(__always)
    mutating func with<Result>(_ slot: Int, _ body: (inout Element) -> Result) -> Result? {
        guard links.indices.contains(slot), var element = links[slot].element.take() else { return nil }
        defer { links[slot].element = element }
        return body(&element)
    }

    mutating func moveToEnd(_ slot: Int) {
        guard slot != last else { return }
        detach(slot)
        attach(slot)
    }

    @discardableResult
    mutating func remove(_ slot: Int) -> Element? {
        guard links.indices.contains(slot), let element = links[slot].element.take() else { return nil }
        detach(slot)
        count -= 1
        if count == 0 {
            self = Chain()
        } else {
            links[slot].next = firstFree
            firstFree = slot
        }
        return element
    }

    private mutating func attach(_ slot: Int) {
        links[slot].previous = last
        links[slot].next = Chain.none
        if last == Chain.none { first = slot } else { links[last].next = slot }
        last = slot
    }

    private mutating func detach(_ slot: Int) {
        let (previous, next) = (links[slot].previous, links[slot].next)
        if previous == Chain.none { first = next } else { links[previous].next = next }
        if next == Chain.none { last = previous } else { links[next].previous = previous }
    }
}
