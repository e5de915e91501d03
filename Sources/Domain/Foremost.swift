// Foremost: the first few of many, by an order, without sorting all of them. Knows nothing of what it holds.
//
// Cost: an element that is not among the first few is one comparison; one that is, a binary search and a move of those behind it.

struct Foremost<Element> {
    private let max: Int
    private let goesBefore: (Element, Element) -> Bool
    /// In the order, first one first.
    private(set) var elements: [Element] = []

    init(_ max: Int, by goesBefore: @escaping (Element, Element) -> Bool) {
        self.max = max
        self.goesBefore = goesBefore
    }

    mutating func offer(_ element: Element) {
        if elements.count >= max {
            guard let last = elements.last, goesBefore(element, last) else { return }
        }
        var low = 0
        var high = elements.count
        while low < high {
            let middle = (low + high) / 2
            if goesBefore(element, elements[middle]) { high = middle } else { low = middle + 1 }
        }
        elements.insert(element, at: low)
        if elements.count > max { elements.removeLast() }
    }
}
