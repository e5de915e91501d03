"""TaskProgressContext: a block of code that counts its steps and reports them.

The rule for a task's ends: who starts it, ends it. A block inside a `task_notifier` call, or after `notify_started`, only reports steps;
one whose task nobody here has started starts it, and says how it ended.
"""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Union

from .notifier import confirmed, current_task_id, end_by, told
from .receipt import Receipt
from .service import TaskNotificationService, task_notification_service


class TaskProgressContext:
    """Steps of a task.

        async with TaskProgressContext("interview_123", total_steps=10) as progress:
            await progress.increment("preparing the data")

    `with` does the same in a plain function.

    :param task_id: the task; None inside a `task_notifier` call, whose task it is then.
    :param total_steps: how many steps there will be.
    :param user_id: whose task it is, where the block is to register the task too; with it go `task_type`, `project_id` and `metadata`.
    :param owns: whether the block starts and ends the task. None: if nobody in this program has started it with the same service.
    """

    #: What the task's result is to be where the block ends it.
    result: Any = None

    def __init__(
        self, task_id: Union[str, int, None] = None, total_steps: int = 100, *, user_id: Union[str, int, None] = None,
        task_type: Optional[str] = None, project_id: Union[str, int, None] = None, metadata: Optional[Mapping[str, Any]] = None,
        owns: Optional[bool] = None, service: Optional[TaskNotificationService] = None,
    ) -> None:
        task = task_id if task_id is not None else current_task_id()
        if task is None:
            raise TypeError("TaskProgressContext: task_id is needed outside of a task_notifier call")
        self.task_id = str(task)
        self.total_steps = max(int(total_steps), 1)
        self.completed_steps = 0
        self._registration: Optional[Dict[str, Any]] = None if user_id is None else {
            "user_id": user_id, "task_type": task_type, "project_id": project_id, "metadata": metadata,
        }
        self._owns = owns
        self._service = service or task_notification_service

    def increment(self, message: Optional[str] = None, steps: int = 1) -> Receipt:
        """So many steps more are done; `message` says of what the last one is."""
        self.completed_steps = min(self.completed_steps + steps, self.total_steps)
        figure = round(100 * self.completed_steps / self.total_steps, 2)
        return self._service.notify_progress(
            self.task_id, progress=int(figure) if figure == int(figure) else figure, message=message,
            step=f"Step {self.completed_steps}/{self.total_steps}", total_steps=self.total_steps, completed_steps=self.completed_steps)

    def log(self, logs: str, level: Optional[str] = None, source: Optional[str] = None) -> Receipt:
        """Lines that the task wrote."""
        return self._service.notify_log(self.task_id, logs, level, source)

    async def __aenter__(self) -> TaskProgressContext:
        receipts = self._begin()
        if self._owns:
            await confirmed(receipts, self._service, self.task_id)
        else:
            for receipt in receipts:
                await receipt
        return self

    async def __aexit__(self, _: Any, error: Optional[BaseException], __: Any) -> None:
        if self._owns and error is not None:
            await told(error, self._service, self.task_id)
        elif self._owns:
            await self._service.notify_completed(self.task_id, result=self.result)

    def __enter__(self) -> TaskProgressContext:
        self._begin()
        return self

    def __exit__(self, _: Any, error: Optional[BaseException], __: Any) -> None:
        if self._owns and error is not None:
            end_by(error, self._service, self.task_id)
        elif self._owns:
            self._service.notify_completed(self.task_id, result=self.result)

    def _begin(self) -> List[Receipt]:
        if self._owns is None:
            self._owns = not self._service.has_started(self.task_id)
        receipts = []
        if self._registration is not None:
            receipts.append(self._service.register_task(self.task_id, **self._registration))
        if self._owns:
            receipts.append(self._service.notify_started(self.task_id))
        return receipts
