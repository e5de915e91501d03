// JSONCheck: no text makes the index trap; every value lies inside the one that holds it; a string and a number, written again, are
// read as the same.
import Base
import JSON

private let limits = JSONLimits(depthMax: 24, bytesMax: 1 << 16, nodesRetained: 1 << 10)

func checkJSON(_ input: FuzzInput) {
    let text = input.bytes
    guard let index = parsed(text) else { return }
    visit(index.root, within: 0..<text.count, depth: 0, index, text)
}

private func parsed(_ text: [UInt8]) -> JSONIndex? {
    var index = JSONIndex(limits: limits)
    do {
        try index.build(from: text.span)
        return index
    } catch {
        require(error.offset >= 0 && error.offset <= text.count, "an error at \(error.offset) of \(text.count) bytes")
        return nil
    }
}

private func visit(_ node: JSONNode, within outer: Range<Int>, depth: Int, _ index: JSONIndex, _ text: [UInt8]) {
    let range = index.range(of: node)
    require(range.lowerBound >= outer.lowerBound && range.upperBound <= outer.upperBound, "\(range) lies outside of \(outer)")
    require(depth <= limits.depthMax, "deeper than allowed")
    switch index.kind(of: node) {
    case .object:
        for (key, value) in index.members(of: node) {
            visit(key, within: range, depth: depth + 1, index, text)
            visit(value, within: range, depth: depth + 1, index, text)
        }
    case .array:
        for element in index.elements(of: node) { visit(element, within: range, depth: depth + 1, index, text) }
    case .string: visitString(node, index, text)
    case .number: visitNumber(node, index, text)
    case .bool: require(index.bool(node) != nil, "a truth value without a value")
    case .null: require(index.bool(node) == nil && index.string(node, in: text.span) == nil, "null has a value")
    }
}

private func visitString(_ node: JSONNode, _ index: JSONIndex, _ text: [UInt8]) {
    let content = decoded(node, index, text)
    var writer = ByteWriter()
    writer.jsonString(content.span)
    let again = array(writer.span)
    guard let second = parsed(again) else { fatalError("a string that was written cannot be read") }
    require(decoded(second.root, second, again) == content, "a string that was written is read as another")
    require(index.equals(node, content.span, in: text.span), "a string does not equal itself")
}

private func decoded(_ node: JSONNode, _ index: JSONIndex, _ text: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    require(index.decode(node, in: text.span, into: &writer), "a string is no string")
    return array(writer.span)
}

private func visitNumber(_ node: JSONNode, _ index: JSONIndex, _ text: [UInt8]) {
    let double = index.double(node, in: text.span)
    if let int = index.int(node, in: text.span), let double { require(Double(int) == double, "\(int) is \(double) too") }
    guard let double, double.isFinite else { return }
    var writer = ByteWriter()
    JSONNumber.append(double, to: &writer)
    require(JSONNumber.double(writer.span) == double, "\(double) is written as another number")
}
