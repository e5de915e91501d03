// The questions an index answers, on one text that holds every kind of value.
import Base
import JSON
import Testing

struct JSONAccessTests {
    static let text = #"{"type":"task_complete","n":5000.0,"x":-2.5,"big":1e30,"yes":true,"no":false,"nil":null,"#
        + #""list":[1,[2,3],{"four":4},"five"],"result": {"ok" : [ ] },"na\u006de":"a\nb","":"empty"}"#
    let it: Reading

    init() throws { it = try Reading(JSONAccessTests.text) }

    static let kinds: [(String, JSONKind)] = [
        ("type", .string), ("n", .number), ("yes", .bool), ("no", .bool), ("nil", .null), ("list", .array),
        ("result", .object), ("name", .string),
    ]

    @Test("every value is of its kind", arguments: kinds)
    func kind(_ name: String, _ kind: JSONKind) throws {
        #expect(it.kind(try #require(it.member(named: Array(name.utf8)))) == kind)
    }

    @Test("a value's range is its text, verbatim")
    func ranges() throws {
        #expect(it.raw(it.index.root) == Self.text)
        #expect(it.raw(try #require(it.member("type"))) == #""task_complete""#)
        #expect(it.raw(try #require(it.member("list"))) == #"[1,[2,3],{"four":4},"five"]"#)
        #expect(it.raw(try #require(it.member("result"))) == #"{"ok" : [ ] }"#)
        #expect(it.raw(try #require(it.member("big"))) == "1e30")
        #expect(it.raw(try #require(it.member("ok", of: it.member("result")))) == "[ ]")
    }

    @Test("a string's contents lie between its quotes, and other values have none")
    func contents() throws {
        let type = try #require(it.member("type"))
        #expect(it.contents(type) == "task_complete")
        #expect(!it.index.hasEscapes(type))
        #expect(it.index.hasEscapes(try #require(it.member("name"))))
        #expect(it.contents(it.root) == nil)
        #expect(!it.index.hasEscapes(try #require(it.member("n"))))
    }

    @Test("a member is found by its decoded name; what is not there, or in no object, is nil")
    func members() throws {
        #expect(it.string("name") == "a\nb")
        #expect(it.string("") == "empty")
        #expect(it.member("nothing") == nil)
        #expect(it.member("four") == nil)
        #expect(it.member("typ") == nil)
        #expect(it.member("x", of: it.member("list")) == nil)
        #expect(it.member("type", of: it.member("type")) == nil)
    }

    @Test("the lengths of an object's names tell what cannot be there; a name with escapes may have any", arguments: [
        ("{}", 0), (#"{"":1}"#, 1), (#"{"ab":{"abc":1},"abcd":2,"cd":3}"#, 0b10100), (#"{"a\u0062":1}"#, .max), ("[1]", 0), ("7", 0),
        (#"{"\#(String(repeating: "n", count: 63))":1}"#, 1 << 63), (#"{"\#(String(repeating: "n", count: 200))":1}"#, 1 << 63),
    ] as [(String, UInt64)])
    func nameLengths(_ text: String, _ lengths: UInt64) throws {
        let index = try JSONIndex(of: SharedBytes(text))
        #expect(index.nameLengths(of: index.root) == lengths)
    }

    @Test("a value is read as what it is, and as nothing else")
    func typed() throws {
        #expect(it.int("n") == 5000)
        #expect(it.double("n") == 5000)
        #expect(it.int("x") == nil)
        #expect(it.double("x") == -2.5)
        #expect(it.int("big") == nil)
        #expect(it.bool("yes") == true)
        #expect(it.bool("no") == false)
        for name in ["type", "nil", "list", "result"] as [StaticString] {
            #expect(it.int(name) == nil)
            #expect(it.double(name) == nil)
            #expect(it.bool(name) == nil)
        }
        #expect(it.string("n") == nil)
        #expect(it.string("nothing") == nil)
    }

    @Test("a string is equal to a literal, a number never")
    func literals() throws {
        let type = try #require(it.member("type"))
        let name = try #require(it.member("name"))
        #expect(it.equals(type, "task_complete"))
        #expect(!it.equals(type, "task_complets"))
        #expect(!it.equals(type, "task"))
        #expect(it.equals(name, "a\nb"))
        #expect(!it.equals(try #require(it.member("n")), "5000.0"))
    }

    @Test("a string decodes into a writer after what is there; another value adds nothing")
    func decoding() throws {
        var writer = ByteWriter()
        writer.append("> " as StaticString)
        #expect(it.decode(try #require(it.member("name")), into: &writer))
        #expect(!it.decode(try #require(it.member("n")), into: &writer))
        #expect(writer.seal().description == "> a\nb")
    }

    @Test("elements and members come in the order of the text, whatever they hold")
    func order() throws {
        let list = try #require(it.member("list"))
        #expect(it.index.elements(of: list).map(it.raw) == ["1", "[2,3]", #"{"four":4}"#, #""five""#])
        #expect(it.index.members(of: it.index.root).map { it.raw($0.key) }.prefix(3) == [#""type""#, #""n""#, #""x""#])
        #expect(Array(it.index.members(of: it.index.root)).count == 11)
        #expect(Array(it.index.members(of: list)).isEmpty)
        #expect(Array(it.index.elements(of: it.index.root)).isEmpty)
        #expect(Array(it.index.elements(of: try #require(it.member("n")))).isEmpty)
    }

    @Test("of equal keys the last counts, however they are spelled, and a walk sees them all")
    func duplicates() throws {
        let it = try Reading(#"{"a":1,"b":{"a":9},"\u0061":2,"a":[3],"b":4}"#)
        #expect(it.raw(try #require(it.member("a"))) == "[3]")
        #expect(it.int("b") == 4)
        #expect(Array(it.index.members(of: it.root)).count == 5)
    }

    @Test("a value that is no container is a whole text too")
    func scalars() throws {
        let it = try Reading(" -12 ")
        #expect(it.int(it.root) == -12)
        #expect(it.member("a") == nil)
    }
}
