// ClientAsset: the client programs and pages that the server hands out from inside its binary, and under which path. The files
// themselves stand beside this one, as they are run.
public import Base

/// One file under `/clients/`.
public struct ClientAsset: Sendable {
    public let path: SharedBytes
    public let contentType: StaticString
    public let content: SharedBytes

    /// Fields that keep a browser from making more of it than a text: it loads nothing, runs nothing, and stands in nobody's frame.
    public var policy: StaticString { "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n" }

    private init(_ path: String, _ contentType: StaticString, _ content: [UInt8]) {
        self.path = SharedBytes(path)
        self.contentType = contentType
        self.content = SharedBytes(content)
    }

    public static let all = [
        ClientAsset("/clients/examples/worker-python.py", "text/x-python; charset=utf-8", PackageResources.worker_python_py),
        ClientAsset("/clients/examples/worker-node.js", "text/javascript; charset=utf-8", PackageResources.worker_node_js),
    ]
}
