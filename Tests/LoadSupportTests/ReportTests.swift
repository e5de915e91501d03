// ReportTests: the same figures as JSON and as a table.

import LoadSupport
import Testing

@Suite struct ReportTests {
    private var report: Report {
        var report = Report()
        report.add("name", "a \"b\"\\\n")
        report.add("count", -3)
        report.add("rate", 1234.5678, places: 2)
        report.add("small", 0.004, places: 2)
        report.add("minus", -0.5, places: 1)
        report.add("none", .nan, places: 1)
        report.add("whole", 2.5, places: 0)
        return report
    }

    @Test("JSON is one line, in the order of adding")
    func json() {
        let expected = #"{"name":"a \"b\"\\\u000a","count":-3,"rate":1234.57,"small":0.00,"minus":-0.5,"none":0.0,"whole":3}"#
        #expect(report.text(.json) == expected)
    }

    @Test("a table has its values in one column")
    func table() {
        var report = Report()
        report.add("a", 1)
        report.add("long", 2.0, places: 1)
        #expect(report.text(.table) == "a     1\nlong  2.0")
    }
}
