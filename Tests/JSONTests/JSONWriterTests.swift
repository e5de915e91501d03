// The writer: exact texts, commas above all, and that the index reads back what was written.
import Base
import JSON
import Testing

struct JSONWriterTests {
    static func text(_ body: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter(capacity: 16)
        body(&writer)
        return writer.seal().description
    }

    @Test("an object holds its members in order, with commas between and nowhere else")
    func object() {
        #expect(Self.text { $0.object { _ in } } == "{}")
        #expect(Self.text { $0.object { $0.member("a", int: 1) } } == #"{"a":1}"#)
        let id = Array("t-1".utf8)
        let raw = Array(#"{"k" : [1, 2]}"#.utf8)
        let all = Self.text {
            $0.object {
                $0.member("literal", string: "task_progress")
                $0.member("word", word: "task_progress")
                $0.member("span", string: id.span)
                $0.member("shared", string: SharedBytes("a\"b"))
                $0.member("text", string: "é" + "\n")
                $0.member("int", int: -7)
                $0.member("wide", int: Int64.min)
                $0.member("double", double: 42.5)
                $0.member("nan", double: .nan)
                $0.member("yes", bool: true)
                $0.member("no", bool: false)
                $0.nullMember("none")
                $0.member("raw", raw: raw.span)
                $0.member("sharedRaw", raw: SharedBytes("[]"))
                $0.member("own") { $0.append("12" as StaticString) }
                $0.member(named: Array("k\"1".utf8).span) { $0.jsonString("v" as StaticString) }
            }
        }
        #expect(
            all == #"{"literal":"task_progress","word":"task_progress","span":"t-1","shared":"a\"b","text":"é\n","int":-7,"#
                + #""wide":-9223372036854775808,"double":42.5,"nan":null,"yes":true,"no":false,"none":null,"raw":{"k" : [1, 2]},"#
                + #""sharedRaw":[],"own":12,"k\"1":"v"}"#)
        #expect(Oracle.accepts(Array(all.utf8)))
    }

    @Test("an array holds its elements in order, with commas between and nowhere else")
    func array() {
        #expect(Self.text { $0.array { _ in } } == "[]")
        let id = Array("t-1".utf8)
        let raw = Array("{ }".utf8)
        let all = Self.text {
            $0.array {
                $0.element(string: "x,")
                $0.element(string: id.span)
                $0.element(string: SharedBytes(""))
                $0.element(string: "{" + "[")
                $0.element(int: 0)
                $0.element(int: Int64.max)
                $0.element(double: -0.5)
                $0.element(double: .infinity)
                $0.element(bool: true)
                $0.element(bool: false)
                $0.nullElement()
                $0.element(raw: raw.span)
                $0.element(raw: SharedBytes("1"))
                $0.element { $0.append("2" as StaticString) }
            }
        }
        #expect(all == #"["x,","t-1","","{[",0,9223372036854775807,-0.5,null,true,false,null,{ },1,2]"#)
        #expect(Oracle.accepts(Array(all.utf8)))
    }

    @Test("containers within containers keep their own commas")
    func nested() {
        let text = Self.text {
            $0.object {
                $0.member("a", object: { _ in })
                $0.member("b", array: {
                    $0.element(array: { _ in })
                    $0.element(object: { $0.member("c", int: 1); $0.member("d", int: 2) })
                })
                $0.member("e", object: { $0.member("f", array: { $0.element(int: 3) }) })
                $0.member("g", int: 4)
            }
        }
        #expect(text == #"{"a":{},"b":[[],{"c":1,"d":2}],"e":{"f":[3]},"g":4}"#)
    }

    @Test("a text begins where the writer stands: no comma after foreign bytes, and those are kept")
    func afterHeadroom() {
        #expect(Self.text { $0.append("42" as StaticString); $0.object { $0.member("a", int: 1) } } == #"42{"a":1}"#)
        #expect(Self.text { $0.array { $0.element(int: 1) }; $0.append(UInt8(ascii: "\n")); $0.array { $0.element(int: 2) } } == "[1]\n[2]")
    }

    @Test("a function may write into an object that another has opened")
    func shared() {
        func stamp(_ object: inout JSONObjectWriter, _ number: Int) { object.member("seq", int: number) }
        #expect(Self.text { $0.object { $0.member("a", int: 1); stamp(&$0, 2); $0.member("b", int: 3) } } == #"{"a":1,"seq":2,"b":3}"#)
    }

    @Test("what is written is read back, through growth of the writer")
    func readBack() throws {
        var writer = ByteWriter(capacity: 16)
        writer.object {
            $0.member("list", array: { for number in 0..<500 { $0.element(int: number) } })
            $0.member("end", string: "yes")
        }
        let it = try Reading(writer.seal().description)
        let list = try #require(it.member("list"))
        #expect(it.index.elements(of: list).map { it.int($0) } == (0..<500).map { Int64($0) })
        #expect(it.string("end") == "yes")
    }
}
