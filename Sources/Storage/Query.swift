// Query: every statement that runs more than once, as words. Each is prepared once; what comes from outside is an argument, never a word.

/// A statement. Its arguments stand in the order of the question marks.
enum Query: Int, CaseIterable {
    case begin, commit, rollback, copyInto
    case insertTask, insertPayload, insertMetadata, insertEvent, insertLog, insertProgress
    case findTask, assignTask, requeueTask, endTask, raiseSequence, removeTask, removeEnd, removePayload
    case linger, lingerNoMore, moveMark
    case removeMetadata, removeEvents, removeLogs, removeProgress
    case keepLetter, removeLetter, readLetters
    case keepRevocation, removeRevocation, readRevocations
    case openSession, touchSession, closeSession, closeForgottenSessions
    case insertActivity, changeAlert, changeDeployment, removeDeployment
    case countEnded, liveTasks, endedTasks, readTask
    case eventsAfter, oldestProgress, newestProgress, oldestLogs, newestLogs, session, newestSessions, newestSessionsOfUser
    case findActivity, newestActivities, newestActivitiesOfKind, newestActivitiesOfOwner, readActivity
    case findAlert, newestAlerts, newestActiveAlerts, newestResolvedAlerts, unresolvedAlerts, deployments
    case forgetTasks, forgetEvents, forgetLogs, forgetProgress, forgetSessions, forgetActivities, forgetAlerts, forgetSurplusActivities

    var text: StaticString {
        switch self {
        case .begin: "BEGIN IMMEDIATE"
        case .commit: "COMMIT"
        case .rollback: "ROLLBACK"
        case .copyInto: "VACUUM INTO ?"

        // The name alone may be taken: the number is above all others.
        case .insertTask:
            """
            INSERT INTO submitted_tasks (number, id, user_id, project_id, task_group, model, type, priority, provider, origin, is_detached,
                timeout_ms, retries, retries_left, attempts, idempotency_key, created_at, enqueued_at, deadline_at, retry_at, state,
                sequence, lease, worker, started_at, payload)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """
        case .insertPayload: "INSERT INTO task_payloads (task, bytes) VALUES (?, ?)"
        case .insertMetadata: "INSERT INTO task_metadata (task, bytes) VALUES (?, ?)"
        case .insertEvent: "INSERT OR REPLACE INTO task_events (task, sequence, kind, at, bytes) VALUES (?, ?, ?, ?, ?)"
        case .insertLog: "INSERT INTO task_logs (task, sequence, level, source, text, created_at) VALUES (?, ?, ?, ?, ?, ?)"
        case .insertProgress:
            """
            INSERT INTO progress_histories (task_id, progress, current_step, total_steps, completed_steps, message, status, metadata,
                created_at, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """

        // Two statements rather than one with RETURNING: that one fills a table of its own at every run, which costs more than to search.
        case .findTask: "SELECT number FROM submitted_tasks WHERE id = ?"
        // Of tasks that live: whoever runs these two knows which.
        case .assignTask:
            """
            UPDATE submitted_tasks SET state = 1, worker = ?2, started_at = ?3, attempts = ?4, sequence = max(sequence, ?5), lease = ?5
            WHERE number = ?1
            """
        case .requeueTask:
            """
            UPDATE submitted_tasks SET state = 0, retries_left = ?2, retry_at = ?3, sequence = max(sequence, ?4) WHERE number = ?1
            """
        case .endTask:
            """
            INSERT INTO ended_tasks (task, state, ended_at, sequence, failure, content, error_code, error_type, details, step, reason,
                execution_time, cost, cost_per_hour, cost_currency, cost_time)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        case .raiseSequence: "UPDATE submitted_tasks SET sequence = ?2 WHERE number = ?1 AND sequence < ?2"
        case .removeTask: "DELETE FROM submitted_tasks WHERE number = ?"
        case .removeEnd: "DELETE FROM ended_tasks WHERE task = ? RETURNING state"
        case .removePayload: "DELETE FROM task_payloads WHERE task = ?"
        case .linger: "INSERT OR IGNORE INTO lingering_tasks (task) VALUES (?)"
        case .lingerNoMore: "DELETE FROM lingering_tasks WHERE task = ?"
        // The old mark goes where its task does not live.
        case .moveMark:
            """
            DELETE FROM lingering_tasks WHERE task = ?1 AND NOT EXISTS (SELECT 1 FROM submitted_tasks WHERE number = ?1
                AND NOT EXISTS (SELECT 1 FROM ended_tasks WHERE task = ?1))
            """
        case .removeMetadata: "DELETE FROM task_metadata WHERE task = ?"
        case .removeEvents: "DELETE FROM task_events WHERE task = ?"
        case .removeLogs: "DELETE FROM task_logs WHERE task = ?"
        case .removeProgress: "DELETE FROM progress_histories WHERE task_id = ?"

        // A letter that was written is written again as it is, should the disk have said otherwise.
        case .keepLetter:
            """
            INSERT OR REPLACE INTO dead_letters (number, id, user_id, project_id, task_group, model, type, priority, provider, timeout_ms,
                retries, attempts, idempotency_key, created_at, failed_at, failure, words, payload)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        case .removeLetter: "DELETE FROM dead_letters WHERE id = ?"
        case .readLetters:
            """
            SELECT number, id, user_id, project_id, task_group, model, type, priority, provider, timeout_ms, retries, attempts,
                idempotency_key, created_at, failed_at, failure, words, payload FROM dead_letters ORDER BY number
            """

        // The user's earlier one gives way.
        case .keepRevocation:
            "INSERT OR REPLACE INTO revocations (number, user_id, before, revoked_at, revoked_by) VALUES (?, ?, ?, ?, ?)"
        case .removeRevocation: "DELETE FROM revocations WHERE user_id = ?"
        case .readRevocations: "SELECT number, user_id, before, revoked_at, revoked_by FROM revocations ORDER BY number"

        case .openSession:
            """
            INSERT INTO web_socket_sessions (client_id, user_id, project_id, connected_at, disconnected_at, last_active_at, message_count,
                ip_address, user_agent, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (client_id) DO UPDATE SET user_id = excluded.user_id, project_id = excluded.project_id,
                connected_at = excluded.connected_at, disconnected_at = excluded.disconnected_at,
                last_active_at = excluded.last_active_at, message_count = excluded.message_count, ip_address = excluded.ip_address,
                user_agent = excluded.user_agent, updated_at = excluded.updated_at
            """
        case .touchSession:
            "UPDATE web_socket_sessions SET last_active_at = ?2, updated_at = ?2, message_count = ?3 WHERE client_id = ?1"
        case .closeSession:
            """
            UPDATE web_socket_sessions SET disconnected_at = ?2, last_active_at = ?2, updated_at = ?2, message_count = ?3
            WHERE client_id = ?1
            """
        case .closeForgottenSessions:
            "UPDATE web_socket_sessions SET disconnected_at = last_active_at WHERE disconnected_at IS NULL"

        case .insertActivity:
            """
            INSERT INTO activities (id, kind, message, severity, resource_type, resource_id, created_at, extra, owner)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """
        // The row keeps its number: an alert's place is where it was raised.
        case .changeAlert:
            """
            INSERT INTO alerts (id, kind, severity, title, message, resource_type, resource_id, value, threshold, unit, raised_at,
                resolved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, severity = excluded.severity, title = excluded.title,
                message = excluded.message, resource_type = excluded.resource_type, resource_id = excluded.resource_id,
                value = excluded.value, threshold = excluded.threshold, unit = excluded.unit, raised_at = excluded.raised_at,
                resolved_at = excluded.resolved_at
            """
        case .changeDeployment:
            """
            INSERT OR REPLACE INTO deployments (id, model_id, name, model_source, host, port, health_path, cpu_cores, memory_limit,
                container_id, start_timeout, status, health, note, created_at, deployed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        case .removeDeployment: "DELETE FROM deployments WHERE id = ?"

        // Out of the index: no task is looked at.
        case .countEnded: "SELECT state, count(*) FROM ended_tasks INDEXED BY ended_tasks_at GROUP BY state"
        // In this order, which SQLite would not choose: the list is short.
        case .liveTasks:
            """
            SELECT number, id FROM lingering_tasks CROSS JOIN submitted_tasks ON number = task
            WHERE NOT EXISTS (SELECT 1 FROM ended_tasks e WHERE e.task = number)
            UNION ALL SELECT number, id FROM submitted_tasks
            WHERE number > coalesce((SELECT max(task) FROM lingering_tasks), 0)
                AND NOT EXISTS (SELECT 1 FROM ended_tasks e WHERE e.task = number)
            ORDER BY number
            """
        case .endedTasks: "SELECT task FROM ended_tasks WHERE ended_at >= ? ORDER BY ended_at DESC, task DESC"
        case .readTask:
            """
            SELECT t.id, t.user_id, t.project_id, t.task_group, t.model, t.type, t.priority, t.provider, t.origin, t.is_detached,
                t.timeout_ms, t.retries_left, t.attempts, t.idempotency_key, t.created_at, t.enqueued_at, t.deadline_at,
                coalesce(e.state, t.state), max(t.sequence, coalesce(e.sequence, 0)), t.worker, t.started_at, t.retries, t.lease,
                t.retry_at, e.ended_at, e.failure, CASE WHEN e.task IS NULL THEN coalesce(t.payload, p.bytes) END, m.bytes, e.content,
                e.error_code, e.error_type, e.details, e.step, e.reason, e.execution_time, e.cost, e.cost_per_hour, e.cost_currency,
                e.cost_time
            FROM submitted_tasks t LEFT JOIN ended_tasks e ON e.task = t.number LEFT JOIN task_payloads p ON p.task = t.number
                LEFT JOIN task_metadata m ON m.task = t.number
            WHERE t.number = ?
            """

        case .eventsAfter:
            """
            SELECT e.sequence, e.kind, e.at, e.bytes FROM task_events e
            WHERE e.task = (SELECT number FROM submitted_tasks WHERE id = ?) AND e.sequence > ? ORDER BY e.sequence, e.number LIMIT ?
            """
        case .oldestProgress:
            """
            SELECT progress, current_step, total_steps, completed_steps, message, status, metadata, created_at, seq
            FROM progress_histories WHERE task_id = ? ORDER BY id LIMIT ?
            """
        case .newestProgress:
            """
            SELECT progress, current_step, total_steps, completed_steps, message, status, metadata, created_at, seq
            FROM progress_histories WHERE task_id = ? ORDER BY id DESC LIMIT ?
            """
        case .oldestLogs:
            """
            SELECT sequence, level, source, text, created_at FROM task_logs
            WHERE task = (SELECT number FROM submitted_tasks WHERE id = ?) ORDER BY number LIMIT ?
            """
        case .newestLogs:
            """
            SELECT sequence, level, source, text, created_at FROM task_logs
            WHERE task = (SELECT number FROM submitted_tasks WHERE id = ?) ORDER BY number DESC LIMIT ?
            """
        case .session:
            """
            SELECT client_id, user_id, project_id, connected_at, disconnected_at, last_active_at, message_count, ip_address, user_agent,
                created_at, updated_at FROM web_socket_sessions WHERE client_id = ?
            """
        case .newestSessions:
            """
            SELECT client_id, user_id, project_id, connected_at, disconnected_at, last_active_at, message_count, ip_address, user_agent,
                created_at, updated_at FROM web_socket_sessions ORDER BY id DESC LIMIT ?
            """
        case .newestSessionsOfUser:
            """
            SELECT client_id, user_id, project_id, connected_at, disconnected_at, last_active_at, message_count, ip_address, user_agent,
                created_at, updated_at FROM web_socket_sessions WHERE user_id = ? ORDER BY id DESC LIMIT ?
            """

        case .findActivity: "SELECT number FROM activities WHERE id = ?"
        case .newestActivities: "SELECT number FROM activities WHERE number < ? ORDER BY number DESC LIMIT ?"
        case .newestActivitiesOfKind:
            "SELECT number FROM activities WHERE kind = ? AND severity = ? AND number < ? ORDER BY number DESC LIMIT ?"
        case .newestActivitiesOfOwner:
            "SELECT number FROM activities WHERE owner IS ? AND kind = ? AND severity = ? AND number < ? ORDER BY number DESC LIMIT ?"
        case .readActivity:
            """
            SELECT id, kind, message, severity, resource_type, resource_id, created_at, extra, owner FROM activities WHERE number = ?
            """
        case .findAlert: "SELECT number FROM alerts WHERE id = ?"
        case .newestAlerts:
            """
            SELECT id, kind, severity, title, message, resource_type, resource_id, value, threshold, unit, raised_at, resolved_at
            FROM alerts WHERE number < ? ORDER BY number DESC LIMIT ?
            """
        case .newestActiveAlerts:
            """
            SELECT id, kind, severity, title, message, resource_type, resource_id, value, threshold, unit, raised_at, resolved_at
            FROM alerts WHERE resolved_at IS NULL AND number < ? ORDER BY number DESC LIMIT ?
            """
        // Along the table: those that last are few, and the others need no sorting.
        case .newestResolvedAlerts:
            """
            SELECT id, kind, severity, title, message, resource_type, resource_id, value, threshold, unit, raised_at, resolved_at
            FROM alerts NOT INDEXED WHERE resolved_at IS NOT NULL AND number < ? ORDER BY number DESC LIMIT ?
            """
        case .unresolvedAlerts:
            """
            SELECT id, kind, severity, title, message, resource_type, resource_id, value, threshold, unit, raised_at, resolved_at
            FROM alerts WHERE resolved_at IS NULL ORDER BY raised_at, number
            """
        case .deployments:
            """
            SELECT id, model_id, name, model_source, host, port, health_path, cpu_cores, memory_limit, container_id, start_timeout,
                status, health, note, created_at, deployed_at FROM deployments ORDER BY created_at, id
            """

        case .forgetTasks:
            """
            DELETE FROM ended_tasks WHERE task IN (SELECT task FROM ended_tasks WHERE ended_at < ? ORDER BY ended_at LIMIT ?)
            RETURNING task, state
            """
        // The first rows are the oldest, unless the wall's clock stepped back; then they are forgotten a little later.
        case .forgetEvents: "DELETE FROM task_events WHERE number IN (SELECT number FROM task_events ORDER BY number LIMIT ?2) AND at < ?1"
        case .forgetLogs:
            "DELETE FROM task_logs WHERE number IN (SELECT number FROM task_logs ORDER BY number LIMIT ?2) AND created_at < ?1"
        case .forgetProgress:
            """
            DELETE FROM progress_histories
            WHERE id IN (SELECT id FROM progress_histories WHERE created_at < ? ORDER BY created_at LIMIT ?)
            """
        case .forgetSessions:
            """
            DELETE FROM web_socket_sessions
            WHERE id IN (SELECT id FROM web_socket_sessions WHERE disconnected_at < ? ORDER BY disconnected_at LIMIT ?)
            """
        case .forgetActivities:
            "DELETE FROM activities WHERE number IN (SELECT number FROM activities ORDER BY number LIMIT ?2) AND created_at < ?1"
        // Numbers are given one after the other.
        case .forgetSurplusActivities:
            """
            DELETE FROM activities WHERE number IN (SELECT number FROM activities ORDER BY number LIMIT ?2)
            AND number <= (SELECT max(number) FROM activities) - ?1
            """
        case .forgetAlerts:
            """
            DELETE FROM alerts WHERE number IN (SELECT number FROM alerts WHERE resolved_at < ? ORDER BY resolved_at LIMIT ?)
            """
        }
    }
}
