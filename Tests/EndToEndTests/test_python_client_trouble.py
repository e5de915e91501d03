"""The Python package `signalbox` and a server that is away, slow, or says no: it is played by a stub."""
import asyncio
import concurrent.futures
import logging
import threading

import pytest

from producers import Stub, Timer, away, making, taken  # noqa: F401 (a fixture)
from servers import BOUND, eventually

from signalbox import NotificationError, TaskNotificationService, TaskProgressContext, task_notifier


def busy(events):
    return 503, {"success": False, "error": "Server is shutting down"}


def verdicts(*each):
    return lambda events: (200, {"success": True, "data": {"verdicts": [
        {"ok": True, "task_id": event["task_id"], "seq": 1} if words is None
        else {"ok": False, "error": words, "status": 503 if words == "Too many tasks" else 409}
        for event, words in zip(events, each, strict=True)]}})


def held():
    """An answer that is not given before it is let go."""
    gate = threading.Event()

    def answer(events):
        assert gate.wait(BOUND)
        return taken(events)
    return gate, answer


def a_life(service, name="a", reports=3):
    """Receipts of a whole task."""
    return [service.register_task(name, 1), service.notify_started(name),
            *(service.notify_progress(name, number) for number in range(reports)), service.notify_completed(name, 1)]


LIFE = ["register a", "started a", "progress a", "progress a", "progress a", "completed a"]


def test_what_is_reported_while_the_server_is_away_comes_when_it_is_back(making, caplog):
    url = away()
    service = making(url, timeout=BOUND)
    receipts = a_life(service)
    eventually(lambda: "reports wait: ConnectionRefusedError" in caplog.text, "the first failure")
    with Stub(port=int(url.rsplit(":", 1)[1])) as stub:
        assert all(receipt.wait() for receipt in receipts)
    assert stub.events == LIFE


def test_nobody_waits_long_for_a_server_that_is_away(making):
    service = making(away(), timeout=0.3)

    async def work():
        return [await receipt for _ in range(20) for receipt in a_life(service)]

    with Timer() as timer:
        assert not any(asyncio.run(work()))
    assert timer.seconds < 5, "once in all, not once a report"
    with Timer() as timer:
        assert not asyncio.run(service.close(timeout=0.2))
    assert timer.seconds < 5


def test_strict_says_that_there_was_no_answer(making):
    with pytest.raises(NotificationError, match="no answer in time"):
        making(away(), timeout=0.1, strict=True).register_task("a", 1).wait()


def test_busy_servers_are_asked_again_in_order(making):
    with Stub(busy, lambda events: (502, b"<html>"), busy) as stub:
        assert all(receipt.wait() for receipt in a_life(making(stub.url, timeout=BOUND)))
        assert stub.events[-6:] == LIFE
        assert len(stub.batches) >= 4


@pytest.mark.parametrize(("answer", "words"), [
    (lambda events: (401, {"success": False, "error": "Token required"}), r"Token required \(401\)"),
    (lambda events: (404, b"nothing here"), "404 Not Found"),
    (lambda events: (301, b""), "301"),
    (lambda events: (200, b"<html>"), "not that of a Signalbox server"),
    (lambda events: (200, {"success": True, "data": {"verdicts": []}}), "not that of a Signalbox server"),
    (lambda events: (500, b"oops"), "500"),
    (lambda events: (400, [1]), "400 Bad Request"),
])
def test_what_would_be_refused_again_is_not_sent_again(making, answer, words):
    with Stub(answer) as stub:
        service = making(stub.url, strict=True, timeout=BOUND)
        with pytest.raises(NotificationError, match=words):
            service.notify_started("a").wait()
        assert service.notify_started("b").wait()
        assert stub.events == ["started a", "started b"]


@pytest.mark.parametrize("token", ["two\nlines", "汉"])
def test_a_token_that_http_cannot_carry(making, token):
    with Stub() as stub, pytest.raises(NotificationError):
        making(stub.url, token=token, strict=True, timeout=BOUND).notify_started("a").wait()


def test_a_token_that_is_made_for_each_request(making):
    tokens = iter(["one", "two\n"])

    def token():
        return next(tokens)

    with Stub() as stub:
        service = making(stub.url, token=token, timeout=BOUND)
        assert service.notify_started("a").wait() and service.notify_started("b").wait()
        assert stub.tokens == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://localhost", "http://", "http://localhost:many", "http://localhost:0"])
def test_an_address_that_is_none(url):
    with pytest.raises(ValueError):
        TaskNotificationService().configure(url=url)


def test_a_slow_server_holds_nobody_up_for_longer_than_is_allowed(making):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=0.2)

        async def work():
            return await service.register_task("a", 1)

        assert asyncio.run(work()) is False
        gate.set()
        assert service.wait_until_sent(BOUND)
        assert stub.events == ["register a"]


def test_a_loop_runs_on_while_a_report_is_awaited(making):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=BOUND)

        async def work():
            waiting = asyncio.ensure_future(service.register_task("a", 1))
            await asyncio.sleep(0)
            gate.set()  # Would never happen if the loop stood still.
            return await asyncio.wait_for(waiting, BOUND)

        assert asyncio.run(work()) is True
        assert stub.connections == 1


def test_whoever_stops_waiting_does_not_stop_the_report(making):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=BOUND)

        async def work():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(service.notify_started("a"), 0.01)

        asyncio.run(work())
        gate.set()  # Its loop is closed by now.
        assert service.notify_started("b").wait()
        assert stub.events == ["started a", "started b"]


def test_an_answer_that_is_lost_does_not_make_a_problem(making, caplog):
    def lose(events):
        return None

    with Stub(lose, verdicts("Task already registered"), lose, verdicts("Task already completed")) as stub:
        service = making(stub.url, strict=True, timeout=BOUND)
        assert service.register_task("a", 1).wait()
        assert service.notify_completed("a").wait()
        assert stub.events == ["register a"] * 2 + ["completed a"] * 2
    # Said for the first time, it is one.
    with Stub(verdicts("Task already completed")) as stub, pytest.raises(NotificationError, match="already completed"):
        making(stub.url, strict=True, timeout=BOUND).notify_completed("a").wait()


def test_a_connection_that_ended_while_idle_is_opened_again_at_once(making, caplog):
    with Stub() as stub:
        service = making(stub.url, timeout=BOUND)
        assert service.notify_started("a").wait()
        stub.answers.append(lambda events: None)
        assert service.notify_started("b").wait()
        assert stub.connections == 2 and caplog.text == ""


@pytest.mark.parametrize("form", ["decorator", "context"])
def test_a_call_that_is_cancelled_before_it_began_is_a_cancelled_task(making, form):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=BOUND)

        @task_notifier(task_id="a", user_id=1, service=service)
        async def decorated():
            raise AssertionError("it has not begun")

        async def context():
            async with TaskProgressContext("a", user_id=1, service=service):
                raise AssertionError("it has not begun")

        async def main():
            task = asyncio.create_task(decorated() if form == "decorator" else context())
            while not stub.batches:
                await asyncio.wait([task], timeout=0.005)
            task.cancel()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert stub.events == ["register a", "started a", "cancelled a"]


def test_what_waits_is_one_batch_and_batches_have_a_limit(making):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=BOUND)
        service.register_task("a", 1)
        eventually(lambda: stub.batches)
        receipts = [service.notify_log("a", f"{number} " + "x" * (number > 1100) * 5000) for number in range(2000)]
        gate.set()
        assert all(receipt.wait() for receipt in receipts)
        assert [len(batch) for batch in stub.batches[:3]] == [1, 500, 500]
        assert all(len(str(batch)) < 1.2 * (1 << 20) for batch in stub.batches)
        assert [event["logs"].split()[0] for batch in stub.batches[1:] for event in batch] == [str(number) for number in range(2000)]
        assert stub.connections == 1


def test_of_too_many_reports_the_oldest_progress_goes_first_and_an_end_last(making, caplog):
    gate, answer = held()
    with Stub(answer) as stub:
        service = making(stub.url, timeout=BOUND, queue_max=10)
        first = service.notify_started("first")
        eventually(lambda: stub.batches)
        service.register_task("a", 1)
        progress = [service.notify_progress("a", number) for number in range(100)]
        ends = [service.notify_completed(f"a{number}") for number in range(19)]
        assert not service.register_task("b", 1).wait()
        assert "too many reports wait" in caplog.text
        gate.set()
        assert first.wait() and all(end.wait() for end in ends[:18])
        assert not any(receipt.wait() for receipt in progress) and not ends[18].wait()
        assert stub.events == ["started first", "register a"] + [f"completed a{number}" for number in range(18)]


def test_a_server_without_room_is_asked_again_and_the_rest_of_the_task_waits(making):
    gate, answer = held()

    def full(events):
        assert [f"{event['event']} {event['task_id']}" for event in events] == ["register a", "started a", "register b"]
        return verdicts("Too many tasks", "Task not found", None)(events)

    with Stub(answer, full) as stub:
        service = making(stub.url, timeout=BOUND)
        receipts = [service.notify_started("first")]
        eventually(lambda: stub.batches)
        receipts += [service.register_task("a", 1), service.notify_started("a"), service.register_task("b", 1)]
        gate.set()
        assert all(receipt.wait() for receipt in receipts)
        assert stub.events[4:] == ["register a", "started a"]


def test_one_report_that_the_server_cannot_read_spoils_no_other(making):
    gate, answer = held()

    def strict_reader(events):
        if any(event["task_id"] == "bad" for event in events):
            return 400, {"success": False, "error": "Invalid JSON"}
        return taken(events)

    with Stub(answer, *[strict_reader] * 9) as stub:
        service = making(stub.url, timeout=BOUND)
        service.notify_started("first")
        eventually(lambda: stub.batches)
        receipts = [service.notify_started(name) for name in ("a", "bad", "b")]
        gate.set()
        assert [receipt.wait() for receipt in receipts] == [True, False, True]
        assert stub.events[4:] == ["started a", "started bad", "started b"]


def test_a_result_that_the_server_finds_too_long_is_a_failure(making):
    with Stub(lambda events: (413, {"success": False, "error": "Body too large"})) as stub:
        assert making(stub.url, timeout=BOUND).notify_completed("a", "x" * 1000).wait()
        assert stub.events == ["completed a", "failed a"]
        assert stub.batches[1][0]["error_type"] == "ResultTooLong"


def test_a_service_may_be_closed_and_used_again(making):
    with Stub() as stub:
        service = making(stub.url, timeout=BOUND)
        threads = threading.active_count()
        for name in ("a", "b"):
            service.notify_started(name)
            assert asyncio.run(service.close()) is True
            eventually(lambda: service._sender._thread is None)
        assert stub.events == ["started a", "started b"]
    eventually(lambda: threading.active_count() <= threads, "the end of the threads")


def test_many_threads_may_report_at_once(making):
    with Stub() as stub:
        service = making(stub.url, timeout=BOUND)

        def work(number):
            return all(receipt.wait() for receipt in a_life(service, f"t{number}", reports=50))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(16)))
        for number in range(16):
            mine = [event.split()[0] for event in stub.events if event.split()[1] == f"t{number}"]
            assert mine == ["register", "started"] + ["progress"] * 50 + ["completed"]


def test_the_same_problem_is_logged_once(making, caplog):
    caplog.set_level(logging.DEBUG, "signalbox")
    with Stub(verdicts("Task not found"), verdicts("Task not found"), verdicts("Task not found")) as stub:
        service = making(stub.url, timeout=BOUND)
        for report in (service.notify_started, service.notify_started, service.notify_completed):
            assert not report("a").wait()
    # The end of a task is always worth a line.
    assert [record.levelname for record in caplog.records if "Task not found" in record.message] == ["WARNING", "DEBUG", "WARNING"]
