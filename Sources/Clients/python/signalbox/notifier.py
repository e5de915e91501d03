"""task_notifier: a function whose every call is a task: registered and started before it, completed, failed or cancelled after it.

What the function gives and raises stays as it is, whatever becomes of the reports.
"""
from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import string
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, Union

from .receipt import NotificationError, Receipt
from .sender import log
from .service import TaskNotificationService, task_notification_service

Function = TypeVar("Function", bound=Callable[..., Any])
Named = Union[str, int, Callable[..., Union[str, int]]]

_current: contextvars.ContextVar[Optional[str]] = contextvars.ContextVar("signalbox_task", default=None)


def current_task_id() -> Optional[str]:
    """The task that is the innermost call of a `task_notifier` function; None outside of one."""
    return _current.get()


def task_notifier(
    *, task_id: Named, user_id: Optional[Named] = None, task_type: Optional[str] = None, project_id: Optional[Named] = None,
    metadata: Union[Mapping[str, Any], Callable[..., Mapping[str, Any]], None] = None,
    service: Optional[TaskNotificationService] = None,
) -> Callable[[Function], Function]:
    """Reports every call of an async function, or of a plain one, as a task.

    Returned values are the task's result. An exception is its failure, cancelling the call its cancellation; both go on to the caller.

    Calls that run at the same time need names of their own; a task that has ended makes room for the next one of its name. `task_id`,
    `user_id` and `project_id` may be a text with arguments of the call in braces, ``"interview_{interview_id}"`` or ``"report_{job.id}"``
    (two braces for one that is meant), or a function that is called with the arguments of the call, defaults among them. So may `metadata`
    be such a function. Without `user_id` the task is not registered: somebody else has done so.

    A plain function is not held up inside a running event loop; outside of one it waits for the server as an async one does.

    :raises TypeError: when the function is a generator, or has no such argument.
    """
    named = {"task_id": task_id, "user_id": user_id, "project_id": project_id}

    def decorate(function: Function) -> Function:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"task_notifier: {function.__qualname__} is a generator, of which nobody can say when it is done")
        signature = inspect.signature(function)
        rest = next((name for name, parameter in signature.parameters.items() if parameter.kind is parameter.VAR_KEYWORD), "")
        for value in named.values():
            if isinstance(value, str) and not rest:
                _check(value, signature)

        def begin(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[_Run]:
            """Registers a call as a task and says that it has started; None where its names cannot be made."""
            chosen = service or task_notification_service
            try:
                arguments = signature.bind(*args, **kwargs)
            except TypeError:
                return None  # Calling the function will say so better.
            arguments.apply_defaults()
            given, named_given = arguments.args, arguments.kwargs
            words = dict(arguments.arguments)
            words.update(words.get(rest, {}))
            try:
                names = {
                    name: value.format_map(words) if isinstance(value, str) else value(*given, **named_given) if callable(value) else value
                    for name, value in named.items()
                }
                facts = metadata(*given, **named_given) if callable(metadata) else metadata
            except Exception as error:
                log.warning("%s is not reported: %s: %s", function.__qualname__, type(error).__name__, error)
                if chosen._strict:
                    raise NotificationError(f"{function.__qualname__} is not reported: {error}") from error
                return None
            return _Run(chosen, names, task_type, facts)

        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def reported(*args: Any, **kwargs: Any) -> Any:
                run = begin(args, kwargs)
                if run is None:
                    return await function(*args, **kwargs)
                await confirmed(run.begun, service=run.service, task=run.task)
                return await _finished(run, function(*args, **kwargs))
        else:
            @functools.wraps(function)
            def reported(*args: Any, **kwargs: Any) -> Any:
                run = begin(args, kwargs)
                if run is None:
                    return function(*args, **kwargs)
                try:
                    _wait(*run.begun)
                except KeyboardInterrupt as error:  # It was waited for the server, and the user would not.
                    run.failed(error)
                    raise
                with run:
                    try:
                        result = function(*args, **kwargs)
                    except BaseException as error:
                        with contextlib.suppress(NotificationError):  # What the function raised is what its caller must hear.
                            _wait(run.failed(error))
                        raise
                if inspect.isawaitable(result):
                    return _finished(run, result)
                _wait(run.completed(result))
                return result
        return reported  # type: ignore[return-value]

    return decorate


class _Run:
    """One call; `with` makes it the current task."""

    def __init__(
        self, service: TaskNotificationService, names: Dict[str, Any], task_type: Optional[str], metadata: Optional[Mapping[str, Any]]
    ) -> None:
        self.service = service
        self.task = str(names["task_id"])
        self.begun: List[Receipt] = []
        if names["user_id"] is not None:
            self.begun.append(service.register_task(**names, task_type=task_type, metadata=metadata))
        self.begun.append(service.notify_started(self.task))

    def __enter__(self) -> None:
        self.token = _current.set(self.task)

    def __exit__(self, *_: Any) -> None:
        try:
            _current.reset(self.token)
        except ValueError:
            pass  # A coroutine that was given up is ended in somebody else's context.

    def completed(self, result: Any) -> Receipt:
        return self.service.notify_completed(self.task, result=result)

    def failed(self, error: BaseException) -> Receipt:
        return end_by(error, self.service, self.task)


async def _finished(run: _Run, work: Awaitable[Any]) -> Any:
    """The rest of a call that is awaited."""
    with run:
        try:
            result = await work
        except BaseException as error:
            await told(error, run.service, run.task)
            raise
    await run.completed(result)
    return result


async def confirmed(receipts: List[Receipt], service: TaskNotificationService, task: str) -> None:
    """Waits until the server has heard that a task begins. One that is cancelled meanwhile is an ended task too.

    :raises NotificationError: where the service is strict and the task is not ours.
    """
    try:
        for receipt in receipts:
            await receipt
    except NotificationError:
        raise
    except BaseException as error:
        await told(error, service, task)
        raise


async def told(error: BaseException, service: TaskNotificationService, task: str) -> None:
    """Says how a task ended that raised something, and waits until the server has heard it. Raises nothing of its own."""
    receipt = end_by(error, service, task)
    # Any other end, as of a coroutine that nobody wants any more, leaves no room for waiting.
    if isinstance(error, (Exception, asyncio.CancelledError)):
        await receipt.settled()


def end_by(error: BaseException, service: TaskNotificationService, task: str) -> Receipt:
    """Says how a task ended that raised something."""
    if isinstance(error, Exception):
        return service.notify_failed(task, error=error)
    # Cancelled, interrupted from the keyboard, or the program leaves.
    return service.notify_cancelled(task, reason=str(error) or type(error).__name__)


def _check(text: str, signature: inspect.Signature) -> None:
    """Sees to it that the arguments to be filled in are some of the function's."""
    for _, field, _, _ in string.Formatter().parse(text):
        first = field and field.replace("[", ".").split(".")[0]
        if field is not None and first not in signature.parameters:
            raise TypeError(f"task_notifier: {text!r} names an argument {first!r} that the function does not have")


def _wait(*receipts: Receipt) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        for receipt in receipts:
            receipt.wait()
