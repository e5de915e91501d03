// Splice: a message that holds one large value of a user. The value is not copied into the text: it is named together with the place
// where it belongs, and whoever sends the message puts it there.
public import Base

/// A value, and how many bytes of the text stand before it.
public struct Splice {
    public let offset: Int
    public let value: SharedBytes

    public init(offset: Int, value: SharedBytes) {
        self.offset = offset
        self.value = value
    }
}
