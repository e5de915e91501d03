// HTTPError: what was wrong with a request, the status that says so, and a sentence for people. It is not a response: ResponseWriter
// writes one. Statuses are those of RFC 9110 §15 and RFC 6585 §5.

/// Why a request is refused. The connection closes after the answer, because where the next request begins is no longer certain.
public enum HTTPError: Error, Hashable, Sendable, CaseIterable {
    case bareLineFeed
    case bareCarriageReturn
    case invalidMethod
    case malformedRequestLine
    case invalidTarget
    case targetTooLong
    case malformedVersion
    case unsupportedVersion
    case connectUnsupported

    case headTooLarge
    case tooManyFields
    case foldedField
    case invalidFieldName
    case spaceBeforeColon
    case invalidFieldValue
    case missingHost
    case repeatedHost
    case invalidHost
    case unknownExpectation

    case lengthAndEncoding
    case repeatedLength
    case invalidLength
    case encodingInHTTP10
    case unsupportedEncoding
    case contentTooLarge

    case invalidChunkSize
    case invalidChunkExtension
    case chunkHeaderTooLong
    case missingChunkEnd
    case trailersTooLarge

    case invalidEscape
    case invalidText
    case tooManyParameters

    /// The caller's clock ran out while the request was being read.
    case requestTimeout
    /// A value that we were about to write holds a control character.
    case unwritableFieldValue

    /// The status to answer with.
    public var status: HTTPStatus {
        switch self {
        case .bareLineFeed, .bareCarriageReturn, .invalidMethod, .malformedRequestLine, .invalidTarget, .malformedVersion: .badRequest
        case .foldedField, .invalidFieldName, .spaceBeforeColon, .invalidFieldValue: .badRequest
        case .missingHost, .repeatedHost, .invalidHost: .badRequest
        case .lengthAndEncoding, .repeatedLength, .invalidLength, .encodingInHTTP10: .badRequest
        case .invalidChunkSize, .invalidChunkExtension, .chunkHeaderTooLong, .missingChunkEnd: .badRequest
        case .invalidEscape, .invalidText, .tooManyParameters: .badRequest
        case .requestTimeout: .requestTimeout
        case .contentTooLarge: .contentTooLarge
        case .targetTooLong: .uriTooLong
        case .unknownExpectation: .expectationFailed
        case .headTooLarge, .tooManyFields, .trailersTooLarge: .requestHeaderFieldsTooLarge
        case .unwritableFieldValue: .internalServerError
        case .connectUnsupported, .unsupportedEncoding: .notImplemented
        case .unsupportedVersion: .httpVersionNotSupported
        }
    }

    /// What was wrong, for people: ASCII without quotes or backslashes, so that it may stand in a JSON string as it is.
    public var sentence: StaticString {
        switch self {
        case .bareLineFeed: "A line ends in LF without CR."
        case .bareCarriageReturn: "A CR stands without LF behind it."
        case .invalidMethod: "The request does not begin with a method."
        case .malformedRequestLine: "The request line is not method, target and version with one space between them."
        case .invalidTarget: "The request target is not a path, an absolute http URI or, for OPTIONS, an asterisk."
        case .targetTooLong: "The request target is too long."
        case .malformedVersion: "The request line does not end in an HTTP version."
        case .unsupportedVersion: "Only HTTP/1.1 and HTTP/1.0 are spoken here."
        case .connectUnsupported: "CONNECT is not supported."
        case .headTooLarge: "The request head is too large."
        case .tooManyFields: "The request has too many header fields."
        case .foldedField: "A header field is folded over several lines."
        case .invalidFieldName: "A header field name is empty or has a character that names may not have."
        case .spaceBeforeColon: "There is whitespace between a header field name and its colon."
        case .invalidFieldValue: "A header field value has a control character."
        case .missingHost: "The Host header field is missing."
        case .repeatedHost: "There is more than one Host header field."
        case .invalidHost: "The Host header field is not a host and an optional port."
        case .unknownExpectation: "The only expectation that is understood is 100-continue."
        case .lengthAndEncoding: "Content-Length and Transfer-Encoding are both present."
        case .repeatedLength: "There is more than one Content-Length."
        case .invalidLength: "Content-Length is not a decimal number."
        case .encodingInHTTP10: "Transfer-Encoding does not exist in HTTP/1.0."
        case .unsupportedEncoding: "The only transfer coding that is understood is chunked."
        case .contentTooLarge: "The request content is too large."
        case .invalidChunkSize: "A chunk size is not a hexadecimal number."
        case .invalidChunkExtension: "A chunk extension is malformed."
        case .chunkHeaderTooLong: "A chunk size line is too long."
        case .missingChunkEnd: "A chunk does not end in CRLF."
        case .trailersTooLarge: "The trailer fields are too large."
        case .invalidEscape: "A percent escape is not two hexadecimal digits, or is %00."
        case .invalidText: "Percent escapes do not decode to UTF-8."
        case .tooManyParameters: "The query has too many parameters."
        case .requestTimeout: "The request took too long to arrive."
        case .unwritableFieldValue: "A response header field would have had a control character."
        }
    }
}
