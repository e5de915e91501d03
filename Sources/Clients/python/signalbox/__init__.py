"""Reports the tasks that a program runs to a Signalbox server, so that whoever watches them sees how they stand.

    from signalbox import task_notifier, task_notification_service, TaskProgressContext

The server is named by `configure(url=…, token=…)` or by the variables SIGNALBOX_URL and SIGNALBOX_TOKEN. Reports leave in their order, on
a thread of their own; what goes wrong with them is logged (logger `signalbox`) and does not disturb the program, unless `strict` is set.
"""
from .notifier import current_task_id, task_notifier
from .progress import TaskProgressContext
from .receipt import NotificationError, Receipt
from .service import TaskNotificationService, configure, task_notification_service

__all__ = [
    "NotificationError", "Receipt", "TaskNotificationService", "TaskProgressContext", "configure", "current_task_id",
    "task_notification_service", "task_notifier",
]
