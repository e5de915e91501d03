// DeploymentTable+LifeTests: when a start time begins, and who is asked first, where there are more to ask than places.
import Base
import Testing

@testable import Domain

struct DeploymentTableLifeTests {
    @Test("the start time begins with the first probe, which goes before all that are asked again, in the order of their coming")
    func newcomers() throws {
        var limits = Limits()
        limits.probesMax = 2
        var desk = DeploymentDesk(limits)
        desk.table.restore((0..<4).map {
            Deployment(id: SharedBytes("r\($0)"), form: DeploymentDesk.form(), status: .running, createdAt: desk.now.wall)
        }, at: desk.now)
        for index in 0..<16 { _ = try desk.register("h\(index)") }
        _ = try desk.register("good")
        #expect(desk.news().filter { $0.hasPrefix("probe") }.count == 2)
        // Nobody answers: two places are free every six seconds.
        let told = desk.wait(54_000)
        let asked = told.filter { $0.hasPrefix("probe") }.map { String($0.split(separator: " ")[1]) }
        #expect(Array(asked.prefix(17)) == (0..<16).map { "h\($0)" } + ["good"])
        #expect(told.contains("failed h0 failed/unhealthy") && !told.contains("failed good failed/unhealthy"))
        // Its start time is its own: thirty seconds from here.
        #expect(!desk.wait(29_999).contains("failed good failed/unhealthy"))
        #expect(desk.wait(1).contains("failed good failed/unhealthy"))
        _ = try desk.table.restart(SharedBytes("good"), at: desk.now)
        _ = desk.wait(6_000)
        let probe = try #require(desk.open.last { $0.deployment == SharedBytes("good") })
        desk.table.probed(probe, .healthy, at: desk.now)
        #expect(desk.news().first == "completed good running/healthy")
    }

    @Test("one that waits for its first probe has no start time that a change could move, and one that is moved has all of it again")
    func movedStart() throws {
        var limits = Limits()
        limits.probesMax = 1
        let d = SharedBytes("d")
        var desk = DeploymentDesk(limits)
        _ = try desk.register("h", DeploymentDesk.form(timeout: 100))
        _ = try desk.register("d", DeploymentDesk.form(timeout: 1))
        _ = try desk.table.update(d, DeploymentDesk.form(timeout: 4), at: desk.now)
        _ = desk.news()
        #expect(desk.wait(5_999) == [])
        #expect(desk.wait(1) == ["probe d gpu1:8000/health"])
        #expect(desk.wait(3_000) == [])
        _ = try desk.table.update(d, DeploymentDesk.form(path: "/up", timeout: 4), at: desk.now)
        #expect(desk.news() == ["saved d deploying/unknown"])
        #expect(desk.wait(3_000) == ["probe d gpu1:8000/up"])
        #expect(desk.wait(3_999) == [])
        #expect(desk.wait(1) == ["failed d failed/unhealthy", "saved d failed/unhealthy"])
    }
}
