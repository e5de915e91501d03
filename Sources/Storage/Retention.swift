// Retention: forgets what is older than the history's time, in steps that are short enough to stand between two commits. The file does not
// become smaller: its free pages are used again.
import Base
import Domain

extension Store {
    /// Removes up to `sweepRows` rows of each table that are older than `cutoff`: ended tasks with all that stands beside them, events,
    /// logs, progress, closed sessions, activities, resolved alerts; and as many activities as there are too many.
    ///
    /// - Returns: how many rows went, and whether every table has had its last.
    func forget(before cutoff: WallTime) throws(StorageError) -> (rows: Int, isDone: Bool) {
        let most = settings.sweepRows
        let bind: (inout Arguments) -> Void = {
            $0.add(cutoff)
            $0.add(most)
        }
        return try change { database throws(StorageError) in
            var rows = try removeEnded(before: cutoff, limit: most, &database)
            var isDone = rows < most
            let others = [Query.forgetEvents, .forgetLogs, .forgetProgress, .forgetSessions, .forgetActivities, .forgetAlerts]
            for query in others {
                let removed = try database.run(query, bind)
                rows += removed
                if removed >= most { isDone = false }
            }
            let kept = settings.activitiesMax
            let surplus = try database.run(.forgetSurplusActivities) {
                $0.add(kept)
                $0.add(most)
            }
            return (rows + surplus, isDone && surplus < most)
        }
    }
}
