// NamespaceTableTests: what a packet means by where its client stands, and when a client has to go.
import Base
import JSON
import Testing

@testable import SocketIO

@Suite("NamespaceTable")
struct NamespaceTableTests {
    private let main = NamespaceID(place: 0)
    private let admin = NamespaceID(place: 1)
    private let start = Instant(nanoseconds: 0)
    private var table = NamespaceTable(
        names: [SharedBytes("/"), SharedBytes("/admin")], connectBefore: Instant(nanoseconds: 0) + .seconds(45))

    private mutating func send(_ text: String) throws -> NamespaceTable.Action {
        var index = JSONIndex()
        let bytes = SharedBytes(text)
        return table.received(try PacketReader.read(bytes.span, index: &index, limits: PacketLimits()), in: bytes.span)
    }

    @Test("CONNECT, events both ways of naming, DISCONNECT")
    mutating func conversation() throws {
        #expect(try send("0") == .judge(main))
        #expect(!table.isConnected(main))
        #expect(table.accept(main) == true)
        #expect(table.isConnected(main))
        #expect(try send(#"2["a"]"#) == .event(main))
        #expect(try send(#"2/,["a"]"#) == .event(main))
        #expect(try send("31[]") == .acknowledgement(main))
        #expect(try send("0/admin?x=1,{}") == .judge(admin))
        #expect(table.accept(admin) == true)
        #expect(table.connected == [main, admin])
        #expect(try send(#"51-/admin,["a",{"_placeholder":true,"num":0}]"#) == .event(admin))
        #expect(try send(#"61-/admin,1[{"_placeholder":true,"num":0}]"#) == .acknowledgement(admin))
        #expect(try send("1/admin") == .left(admin))
        #expect(table.connected == [main])
        #expect(try send(#"2["still"]"#) == .event(main))
        #expect(try send("0/admin,") == .judge(admin))
    }

    @Test("Who was let in once is somewhere, also when it left; who asks, or is refused, is not")
    mutating func anywhere() throws {
        #expect(!table.isAnywhere)
        _ = try send("0")
        #expect(!table.isAnywhere)
        _ = table.refuse(main)
        #expect(!table.isAnywhere)
        var late = table
        _ = late.expire(at: start + .seconds(45))
        #expect(!late.isAnywhere)
        _ = try send("0")
        _ = table.accept(main)
        #expect(table.isAnywhere)
        var broken = table
        swap(&broken, &table)
        _ = try send("4{}")
        #expect(table.isAnywhere)
        swap(&broken, &table)
        _ = try send("1")
        #expect(table.isAnywhere)
    }

    @Test("Leaving every namespace leaves the connection")
    mutating func empty() throws {
        _ = try send("0")
        _ = table.accept(main)
        #expect(try send("1") == .left(main))
        #expect(table.expire(at: start + .seconds(1_000)) == .none)
        #expect(try send("0") == .judge(main))
    }

    @Test("An unknown namespace is refused, and nothing else happens")
    mutating func unknown() throws {
        #expect(try send("0/random") == .refuseUnknown)
        #expect(try send("0/random") == .refuseUnknown)
        #expect(try send("0") == .judge(main))
        #expect(table.accept(main) == true)
        #expect(try send("0/random") == .refuseUnknown)
        #expect(try send(#"2["a"]"#) == .event(main))
    }

    @Test(
        "What a client may not say ends its connection, for good",
        arguments: [
            ([#"2["a"]"#], NamespaceTable.EndReason.notConnected), (["1"], .notConnected), (["31[]"], .notConnected),
            ([#"2/random,["a"]"#], .notConnected), (["1/random"], .notConnected), (["0", #"2["a"]"#], .notConnected),
            (["0", "1"], .notConnected), (["0", "0"], .connectedTwice), (["0", "+", "0{}"], .connectedTwice),
            (["0", "+", #"2/admin,["a"]"#], .notConnected), (["0", "+", "1", #"2["a"]"#], .notConnected),
            (["0", "+", "1", "1"], .notConnected),
            (["0", "-", #"2["a"]"#], .notConnected), (["0", "+", "4{}"], .unexpectedKind), (["4/random,{}"], .unexpectedKind),
        ])
    mutating func ends(script: [String], reason: NamespaceTable.EndReason) throws {
        for (place, line) in script.enumerated() {
            switch line {
            case "+": #expect(table.accept(main) == true)
            case "-": #expect(table.refuse(main) == true)
            default: #expect((try send(line) == .end(reason)) == (place == script.count - 1), "\(line)")
            }
        }
        #expect(try send("0/admin") == .end(reason))
        #expect(table.expire(at: start) == .end(reason))
        #expect(table.accept(main) == false)
        #expect(table.refuse(main) == false)
        #expect(table.dismiss(main) == false)
        #expect(table.deadline == nil)
        #expect(reason.sentence.utf8CodeUnitCount > 0)
    }

    @Test("A refused client may ask again")
    mutating func refusal() throws {
        #expect(try send("0") == .judge(main))
        #expect(table.refuse(main) == true)
        #expect(table.refuse(main) == false)
        #expect(table.accept(main) == false)
        #expect(try send("0") == .judge(main))
        #expect(table.accept(main) == true)
    }

    @Test("What a dismissed client sent before it knew means nothing")
    mutating func dismissal() throws {
        #expect(table.dismiss(main) == false)
        _ = try send("0")
        #expect(table.dismiss(main) == false)
        _ = table.accept(main)
        #expect(table.dismiss(main) == true)
        #expect(table.dismiss(main) == false)
        #expect(try send(#"2["a"]"#) == .none)
        #expect(try send("31[]") == .none)
        #expect(try send("0") == .judge(main))
        #expect(table.accept(main) == true)
        #expect(table.dismiss(main) == true)
        #expect(try send("1") == .none)
        #expect(try send("1") == .end(.notConnected))
    }

    @Test("A client is let in somewhere in time; asking and being refused do not count")
    mutating func timeout() throws {
        let before = start + TimeSpan(nanoseconds: 44_999_999_999)
        #expect(table.deadline == start + .seconds(45))
        #expect(try send("0/random") == .refuseUnknown)
        _ = try send("0")
        _ = table.refuse(main)
        _ = try send("0")
        #expect(table.expire(at: before) == .none)
        var late = table
        #expect(late.expire(at: start + .seconds(45)) == .end(.connectTimeout))
        #expect(late.accept(main) == false)
        #expect(table.accept(main) == true)
        #expect(table.deadline == nil)
        #expect(table.expire(at: start + .seconds(1_000)) == .none)
    }

    @Test("A verdict on a place that is none changes nothing")
    mutating func foreign() {
        for place in [-1, 2, Int.max] {
            let namespace = NamespaceID(place: place)
            #expect(table.accept(namespace) == false)
            #expect(table.refuse(namespace) == false)
            #expect(table.dismiss(namespace) == false)
            #expect(!table.isConnected(namespace))
        }
    }

    @Test("Where the main namespace is not among the names, it is unknown")
    mutating func noMain() throws {
        table = NamespaceTable(names: [SharedBytes("/admin")], connectBefore: start)
        #expect(try send("0") == .refuseUnknown)
        #expect(try send("0/admin,") == .judge(NamespaceID(place: 0)))
    }
}
