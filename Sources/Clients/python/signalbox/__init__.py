"""Signalbox from Python: gives tasks in, works on them, watches them, and reports those that a program runs by itself.

    from signalbox import Client, Watcher, Worker
    from signalbox import task_notifier, task_notification_service, TaskProgressContext

The server is named where each is made, by `configure(url=…, token=…)` for the reports, or by the variables SIGNALBOX_URL and
SIGNALBOX_TOKEN. Workers and watchers speak WebSocket, by the package `websockets`; nothing else is needed, and by nobody else.
"""
from typing import TYPE_CHECKING, Any

from .client import Client, RequestError, TaskFailed, TaskState, TaskWasCancelled
from .notifier import current_task_id, task_notifier
from .progress import TaskProgressContext
from .receipt import NotificationError, Receipt
from .service import TaskNotificationService, configure, task_notification_service

if TYPE_CHECKING:
    from .assignment import Assignment, TaskCancelled, TaskError
    from .watcher import Event, Hub, Watcher, WatchError
    from .worker import Refused, Worker

# Loaded when they are asked for: a program that only reports has no use for a WebSocket.
_LATER = {
    "Assignment": "assignment", "TaskCancelled": "assignment", "TaskError": "assignment", "Event": "watcher", "Hub": "watcher",
    "WatchError": "watcher", "Watcher": "watcher", "Refused": "worker", "Worker": "worker",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


__all__ = [
    "Assignment", "Client", "Event", "Hub", "NotificationError", "Receipt", "Refused", "RequestError", "TaskCancelled", "TaskError",
    "TaskFailed", "TaskNotificationService", "TaskProgressContext", "TaskState", "TaskWasCancelled", "WatchError", "Watcher", "Worker",
    "configure", "current_task_id", "task_notification_service", "task_notifier",
]
