// MessageValuesTests: what several dialects write in the same way.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct MessageValuesTests {
    private func written(_ cost: Cost) throws -> String {
        try DialectsTests.written { (writer: inout ByteWriter) in writer.object { $0.member("cost_info", cost) } }
    }

    @Test("a cost that somebody told goes out byte for byte; one that is nothing is null")
    func toldCost() throws {
        #expect(try written(.raw(SharedBytes(#"{ "total_cost": 2.450, "b":1e5 }"#))) == #"{"cost_info":{ "total_cost": 2.450, "b":1e5 }}"#)
        #expect(try written(.raw(.empty)) == #"{"cost_info":null}"#)
    }

    @Test(
        "a cost by the hour: what the time comes to, in millionths, in plain digits",
        arguments: [
            (9.8, 900_000_000_000, "2.45"), (1, 3_600_000_000_000, "1"), (0, 3_600_000_000_000, "0"), (3.6, 1_000_000_000, "0.001"),
            (3.6, 1_000_000, "0.000001"), (3.6, 400_000, "0"), (3.6, 600_000, "0.000001"), (0.1, 10_800_000_000_000, "0.3"),
            (1, 1, "0"), (Double.leastNonzeroMagnitude, .max, "0"), (3.6, 0, "0"), (3.6, -1_000_000_000, "0"),
            (1e9, 3_600_000_000_000, "1000000000"),
            // The longest time that a worker may tell, and the longest there is.
            (1e9, 1_000_000_000_000_000_000, "277777777777777.75"), (1e9, .max, "2562047788015215.5"),
        ] as [(Double, Int64, String)])
    func meteredCost(_ perHour: Double, _ nanoseconds: Int64, _ expected: String) throws {
        let cost = Cost.metered(Rate(perHour: perHour, currency: SharedBytes("USD")), TimeSpan(nanoseconds: nanoseconds))
        #expect(try written(cost) == #"{"cost_info":{"total_cost":\#(expected),"currency":"USD"}}"#)
    }

    @Test("a currency is a text like any other")
    func currency() throws {
        let cost = Cost.metered(Rate(perHour: 1, currency: SharedBytes("\"€\n")), .seconds(1_800))
        #expect(try written(cost) == #"{"cost_info":{"total_cost":0.5,"currency":"\"€\n"}}"#)
    }
}
