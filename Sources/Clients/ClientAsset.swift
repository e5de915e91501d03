// ClientAsset: the client programs, libraries and pages that the server hands out from inside its binary, and under which path. The files
// themselves stand beside this one, as they are run and shown; the Python package is installed from its folder, and is not handed out.
public import Base

/// One file that the server hands out.
public struct ClientAsset: Sendable {
    /// What a browser is to make of it.
    private enum Use {
        /// A program, to be read.
        case text
        /// A page, or a part of one.
        case page
    }

    public let path: SharedBytes
    public let contentType: StaticString
    public let content: SharedBytes
    private let use: Use

    /// Fields that keep a browser from making more of it than it is. Of a text it loads nothing and runs nothing; a page is made of files
    /// of this server alone, speaks with this server alone, and runs nothing that stands in a text. Both stand in nobody's frame. A page
    /// that imports a text as a module is bound by its own policy, and not by the text's (Content Security Policy 3, section 4.2).
    public var policy: StaticString {
        switch use {
        case .text: "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n"
        case .page:
            """
            Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
            base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n
            """
        }
    }

    private init(_ path: String, _ contentType: StaticString, _ content: [UInt8], as use: Use = .text) {
        self.path = SharedBytes(path)
        self.contentType = contentType
        self.content = SharedBytes(content)
        self.use = use
    }

    private static func page(_ path: String, _ content: [UInt8]) -> ClientAsset {
        ClientAsset(path, "text/html; charset=utf-8", content, as: .page)
    }

    private static func style(_ path: String, _ content: [UInt8]) -> ClientAsset {
        ClientAsset(path, "text/css; charset=utf-8", content, as: .page)
    }

    private static func script(_ path: String, _ content: [UInt8]) -> ClientAsset {
        ClientAsset(path, "text/javascript; charset=utf-8", content, as: .page)
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
        .page("/dashboard", PackageResources.dashboard_html),
        .style("/pages/house.css", PackageResources.house_css),
        .style("/pages/dashboard.css", PackageResources.dashboard_css),
        .script("/pages/house.js", PackageResources.house_js),
        .script("/pages/sockets.js", PackageResources.sockets_js),
        .script("/pages/charts.js", PackageResources.charts_js),
        .script("/pages/dashboard.js", PackageResources.dashboard_js),
        .page("/test-worker", PackageResources.test_worker_html),
        .style("/pages/test-worker.css", PackageResources.test_worker_css),
        .script("/pages/test-worker.js", PackageResources.test_worker_js),
        .page("/docs", PackageResources.docs_html),
        .style("/pages/docs.css", PackageResources.docs_css),
        .script("/pages/docs.js", PackageResources.docs_js),
        ClientAsset("/openapi.json", "application/json", PackageResources.openapi_json, as: .page),
        ClientAsset("/asyncapi.json", "application/json", PackageResources.asyncapi_json, as: .page),
    ]
}
