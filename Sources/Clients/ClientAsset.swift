// ClientAsset: the client programs, libraries and pages that the server hands out from inside its binary, and under which path. The files
// themselves stand beside this one, as they are run; the Python package is installed from its folder, and is not handed out.
public import Base

/// One file under `/clients/`.
public struct ClientAsset: Sendable {
    public let path: SharedBytes
    public let contentType: StaticString
    public let content: SharedBytes

    /// Fields that keep a browser from making more of it than a text: opened by itself it loads nothing, runs nothing, and stands in
    /// nobody's frame. A page that imports it is bound by its own policy, and not by this one (Content Security Policy 3, section 4.2).
    public var policy: StaticString { "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n" }

    private init(_ path: String, _ contentType: StaticString, _ content: [UInt8]) {
        self.path = SharedBytes(path)
        self.contentType = contentType
        self.content = SharedBytes(content)
    }

    private static let python: StaticString = "text/x-python; charset=utf-8"
    /// A browser takes nothing else for a module.
    private static let javaScript: StaticString = "text/javascript; charset=utf-8"
    /// What a compiler reads, and no browser runs.
    private static let text: StaticString = "text/plain; charset=utf-8"

    public static let all = [
        ClientAsset("/clients/javascript/signalbox.js", javaScript, PackageResources.signalbox_js),
        ClientAsset("/clients/javascript/signalbox.d.ts", text, PackageResources.signalbox_d_ts),
        ClientAsset("/clients/react/RealtimeProgressTracker.tsx", text, PackageResources.RealtimeProgressTracker_tsx),
        ClientAsset("/clients/vue/useTask.js", javaScript, PackageResources.useTask_js),
        ClientAsset("/clients/examples/worker-python.py", python, PackageResources.worker_python_py),
        ClientAsset("/clients/examples/worker-node.js", javaScript, PackageResources.worker_node_js),
        ClientAsset("/clients/examples/worker-openai.py", python, PackageResources.worker_openai_py),
        ClientAsset("/clients/examples/websocket_client_example.py", python, PackageResources.websocket_client_example_py),
        ClientAsset("/clients/examples/worker_example.py", python, PackageResources.worker_example_py),
        ClientAsset("/clients/examples/watcher-example.mjs", javaScript, PackageResources.watcher_example_mjs),
    ]
}
