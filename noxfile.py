"""The tests under other Pythons and other versions of what cervispine needs: ``nox -l`` lists them.

``make test`` is what every change must pass; these take longer and need those Pythons installed.
"""

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"

PYTEST = ("python", "-m", "pytest", "--numprocesses", "2", "--dist", "loadscope")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests with the newest of everything."""
    session.install("-e", ".", *nox.project.dependency_groups(_project(), "test", "docs"))
    session.run(*PYTEST, *session.posargs, env=ONE_THREAD)


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest of everything that pyproject.toml allows."""
    groups = nox.project.dependency_groups(_project(), "test", "docs")
    session.install("--resolution", "lowest-direct", "-e", ".", *groups)
    session.run(*PYTEST, *session.posargs, env=ONE_THREAD)


def _project() -> dict:
    return nox.project.load_toml("pyproject.toml")
