"""What our Worker overrides or relies on in arq. When arq moves, this is the list to go through."""

import inspect
from importlib import metadata

import arq
import arq.cli
import arq.constants
import arq.worker
import pytest

PARAMETERS = {
    "functions": (),
    "queue_name": "arq:queue",
    "cron_jobs": None,
    "redis_settings": None,
    "redis_pool": None,
    "burst": False,
    "on_startup": None,
    "on_shutdown": None,
    "on_job_start": None,
    "on_job_end": None,
    "after_job_end": None,
    "handle_signals": True,
    "job_completion_wait": 0,
    "max_jobs": 10,
    "job_timeout": 300,
    "keep_result": 3600,
    "keep_result_forever": False,
    "poll_delay": 0.5,
    "queue_read_limit": None,
    "max_tries": 5,
    "health_check_interval": 3600,
    "health_check_key": None,
    "ctx": None,
    "retry_jobs": True,
    "allow_abort_jobs": False,
    "max_burst_jobs": -1,
    "job_serializer": None,
    "job_deserializer": None,
    "expires_extra_ms": 86_400_000,
    "timezone": None,
    "log_results": True,
}

# name -> (is it a coroutine, its parameters after self)
METHODS = {
    "main": (True, []),
    "_poll_iteration": (True, []),
    "start_jobs": (True, ["job_ids"]),
    "run_job": (True, ["job_id", "score"]),
    "finish_job": (
        True,
        [
            "job_id",
            "finish",
            "result_data",
            "result_timeout_s",
            "keep_result_forever",
            "incr_score",
            "keep_in_progress",
        ],
    ),
    "finish_failed_job": (True, ["job_id", "result_data"]),
    "heart_beat": (True, []),
    "run_cron": (True, ["n", "delay", "num_windows"]),
    "record_health": (True, []),
    "close": (True, []),
    "handle_sig": (False, ["signum"]),
    "handle_sig_wait_for_completion": (False, ["signum"]),
    "_cancel_aborted_jobs": (True, []),
    "_add_signal_handler": (False, ["signum", "handler"]),
    "async_run": (True, []),
    "run": (False, []),
    "run_check": (True, ["retry_jobs", "max_burst_jobs"]),
}

CONSTANTS = {
    "default_queue_name": "arq:queue",
    "job_key_prefix": "arq:job:",
    "in_progress_key_prefix": "arq:in-progress:",
    "result_key_prefix": "arq:result:",
    "retry_key_prefix": "arq:retry:",
    "abort_jobs_ss": "arq:abort",
    "health_check_key_suffix": ":health-check",
}


ATTRIBUTES = """
    _handle_signals _job_completion_wait _last_health_check _last_health_check_log _pool _queue_read_offset
    aborting_tasks after_job_end allow_abort_jobs allow_pick_jobs burst cron_jobs ctx expires_extra_ms
    functions
    health_check_interval health_check_key in_progress_timeout_s job_counter job_deserializer job_serializer
    job_tasks job_timeout_s jobs_complete jobs_failed jobs_retried keep_result_forever keep_result_s
    log_results
    loop main_task max_burst_jobs max_jobs max_tries on_job_end on_job_start on_shutdown on_startup on_stop
    poll_delay_s queue_name queue_read_limit redis_settings retry_jobs sem tasks timezone
"""


class Settings:
    functions = ()
    max_jobs = 7
    queue_name = "arq:other"
    not_a_parameter = 1


def test_arq_is_the_version_that_was_read() -> None:
    """Everything below was read in 0.28; pyproject.toml lets no other in."""
    assert metadata.version("arq").split(".")[:2] == ["0", "28"]


def test_the_constructor_has_the_parameters_and_defaults_that_ours_repeats() -> None:
    """Built with arq's own parameters, our Worker behaves as arq's: same names, same defaults."""
    parameters = inspect.signature(arq.worker.Worker).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == PARAMETERS


async def test_the_constructor_sets_the_attributes_that_ours_reads() -> None:
    """A subclass shares its namespace: an attribute that arq adds could be one of ours."""

    async def task(ctx: object) -> None: ...

    assert set(vars(arq.worker.Worker(functions=[task], handle_signals=False))) == set(ATTRIBUTES.split())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_ours_overrides_or_calls_is_as_it_was(name: str) -> None:
    """Name, kind and parameters of a method; one that is renamed would never be called again, in silence."""
    method = inspect.getattr_static(arq.worker.Worker, name)
    found = (inspect.iscoroutinefunction(method), list(inspect.signature(method).parameters)[1:])
    assert found == METHODS[name]


def test_jobs_started_is_a_method() -> None:
    """Burst mode and the health line call it."""
    assert list(inspect.signature(arq.worker.Worker._jobs_started).parameters) == ["self"]


def test_create_worker_looks_up_the_worker_class_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one rebinding of `arq.worker.Worker` is enough for `arq runner.WorkerSettings` to build ours."""

    class Ours:
        def __init__(self, functions=(), max_jobs=10, lease=15, **rest) -> None:
            self.given = {"functions": functions, "max_jobs": max_jobs, "lease": lease, **rest}

    monkeypatch.setattr(arq.worker, "Worker", Ours)
    worker = arq.worker.create_worker(Settings, burst=True)
    assert isinstance(worker, Ours)
    assert worker.given == {"functions": (), "max_jobs": 7, "lease": 15, "burst": True}


def test_get_kwargs_takes_from_the_settings_what_the_bound_class_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the signature of the class bound at that moment, so parameters of ours reach ours."""

    class Ours:
        def __init__(self, functions=(), not_a_parameter=None) -> None: ...

    assert arq.worker.get_kwargs(Settings) == {"functions": (), "max_jobs": 7, "queue_name": "arq:other"}
    monkeypatch.setattr(arq.worker, "Worker", Ours)
    assert arq.worker.get_kwargs(Settings) == {"functions": (), "not_a_parameter": 1}


def test_get_kwargs_sees_only_what_the_settings_class_holds_itself() -> None:
    """It reads `__dict__`: what a settings class inherits or computes does not count; a dict does."""

    class Child(Settings):
        max_jobs = 8

    assert arq.worker.get_kwargs(Child) == {"max_jobs": 8}
    assert arq.worker.get_kwargs({"max_jobs": 9, "other": 1}) == {"max_jobs": 9}


def test_the_command_builds_and_checks_through_arq_worker() -> None:
    """`arq`'s command holds these functions by name; they live in arq.worker and find Worker there."""
    for name in ("create_worker", "run_worker", "check_health"):
        assert getattr(arq.cli, name) is getattr(arq.worker, name)
        assert getattr(arq.worker, name).__globals__ is vars(arq.worker)


def test_the_keys_have_the_names_that_the_wire_writes() -> None:
    """Every arq client and monitor in the world reads these."""
    assert {name: getattr(arq.constants, name) for name in CONSTANTS} == CONSTANTS
